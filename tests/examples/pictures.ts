import type { Page } from "playwright-core";

const FOLDER = new URL("../../docs/pictures/", import.meta.url);

/** Size of the pages that are shown in the documentation. */
export const VIEWPORT = { width: 960, height: 600 };

/**
 * Writes a picture of a page for the documentation where `TAKE_PICTURES` is set, in light and dark.
 * Nothing is compared: fonts differ between machines.
 */
export async function takePicture(page: Page, name: string): Promise<void> {
  if (!Deno.env.get("TAKE_PICTURES")) return;
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const path = new URL(`${name}-${colorScheme}.png`, FOLDER).pathname;
    await page.screenshot({ path, caret: "hide", fullPage: true });
  }
}
