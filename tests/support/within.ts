/** Longest time, in milliseconds, that a test waits for something that should happen at once. */
const PATIENCE = 15_000;

/**
 * Waits for something that must happen. Rejects with a sentence that says what did not.
 *
 * @param what what is waited for, as the end of "Waited in vain for …"
 */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  patience = PATIENCE,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`Waited in vain for ${typeof what === "string" ? what : what()}`));
  }, patience);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until a condition holds, asking again with each turn of the event loop: for what has no
 * event of its own.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  patience = PATIENCE,
): Promise<void> {
  const end = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
