/**
 * The test command, `deno task test`: sets up what the tests need, runs them, and ends with the
 * line `N passed, N failed`, counted in the report that `deno test` writes.
 *
 * Arguments go to `deno test`: `deno task test tests/house --filter arrows`.
 *
 * @module
 */

/** A program that the tests start, and what installs it. */
interface Program {
  name: string;
  /** Commands of which one succeeds where it is installed. */
  probes: string[][];
  apt: string[];
  brew: string[];
  /** What to install where neither is at hand. */
  product: string;
}

const PYTHON_MODULES = ["-c", "import websockets, aiohttp"];

const PROGRAMS: Program[] = [
  {
    name: "redis-server",
    probes: [["redis-server", "--version"]],
    apt: ["redis-server"],
    brew: ["redis"],
    product: "Redis 7 or later",
  },
  {
    name: "python3 with websockets and aiohttp",
    // Debian's modules belong to Debian's Python, which need not be the first one found.
    probes: [["python3", ...PYTHON_MODULES], ["/usr/bin/python3", ...PYTHON_MODULES]],
    apt: ["python3", "python3-websockets", "python3-aiohttp"],
    brew: ["python", "python-aiohttp", "python-websockets"],
    product: "Python 3 with the modules websockets and aiohttp",
  },
  {
    name: "chromium",
    // The names and the variable that tests/support/browser.ts knows.
    probes: [Deno.env.get("PUSH_CHROMIUM") ?? "chromium", "chromium-browser", "google-chrome"]
      .map((command) => [command, "--version"]),
    apt: ["chromium"],
    brew: ["chromium"],
    product: "Chromium, or say in PUSH_CHROMIUM where it is,",
  },
  {
    name: "openssl",
    probes: [["openssl", "version"]],
    apt: ["openssl"],
    brew: ["openssl"],
    product: "OpenSSL, which makes certificates for the tests",
  },
];

/** A run that takes longer hangs; it is ended, and counts as failed. */
const LONGEST_RUN = 60 * 60 * 1000;

/** How many tests passed and failed; steps of a test count too. */
export interface Counts {
  passed: number;
  failed: number;
}

/** Installs the programs that the tests start. Throws with one sentence where it cannot. */
export async function setUp(): Promise<void> {
  for (const program of PROGRAMS) {
    if (await isInstalled(program)) continue;
    await install(program);
    if (!(await isInstalled(program))) throw new Error(missing(program));
  }
}

/** Runs `deno test` with these arguments and counts the results in its report. */
export async function runTests(args: string[]): Promise<Counts> {
  const report = await Deno.makeTempFile({ prefix: "push-tests-", suffix: ".xml" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", `--junit-path=${report}`, ...args],
      // Many tests wait for a process or a timer while others compute.
      env: { DENO_JOBS: Deno.env.get("DENO_JOBS") ?? String(navigator.hardwareConcurrency + 1) },
      signal: AbortSignal.timeout(LONGEST_RUN),
    }).spawn().status;
    return verdict(code, count(await Deno.readTextFile(report)));
  } finally {
    await Deno.remove(report).catch(() => {});
  }
}

/** Counts the results in a JUnit report of `deno test`; `undefined` if the text is none. */
export function count(report: string): Counts | undefined {
  const whole = /<testsuites\s[^>]*>/.exec(report)?.[0];
  if (whole === undefined) return undefined;
  const failed = attribute(whole, "failures") + attribute(whole, "errors");
  let skipped = 0;
  for (const [suite] of report.matchAll(/<testsuite\s[^>]*>/g)) {
    skipped += attribute(suite, "disabled");
  }
  return { passed: attribute(whole, "tests") - failed - skipped, failed };
}

/**
 * What a run came to. A run is a failure if it wrote no report (it was killed, or did not compile),
 * if nothing ran, or if it ended badly for a reason the report does not hold (a file that throws
 * while it loads).
 */
export function verdict(code: number, counted: Counts | undefined): Counts {
  const { passed, failed } = counted ?? { passed: 0, failed: 0 };
  const proved = code === 0 && passed > 0;
  return { passed, failed: failed > 0 || proved ? failed : 1 };
}

/** The last line of the test command and of the gate. */
export function summary({ passed, failed }: Counts): string {
  return `${passed} passed, ${failed} failed`;
}

function attribute(tag: string, name: string): number {
  return Number(new RegExp(`\\s${name}="(\\d+)"`).exec(tag)?.[1] ?? 0);
}

async function isInstalled({ probes }: Program): Promise<boolean> {
  for (const [command, ...args] of probes) if (await runs(command, ...args)) return true;
  return false;
}

async function runs(command: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

async function install(program: Program): Promise<void> {
  if (await runs("apt-get", "--version")) {
    const root = Deno.uid() === 0;
    if (!root && !(await runs("sudo", "--version"))) throw new Error(missing(program));
    const sudo = root ? [] : ["sudo"];
    // In runlevel 1 the package does not start its service. Under systemd it does; stopping that
    // hits nobody else's, as the program was not there before.
    const quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"];
    const options = ["-qy", "--no-install-recommends"];
    await run([...sudo, "apt-get", "update", "-q"]);
    await run([...sudo, ...quiet, "apt-get", "install", ...options, ...program.apt]);
    if (program.name === "redis-server" && await runs("test", "-d", "/run/systemd/system")) {
      await run([...sudo, "systemctl", "disable", "--now", program.name]);
    }
  } else if (await runs("brew", "--version")) {
    await run(["brew", "install", ...program.brew]);
  } else {
    throw new Error(missing(program));
  }
}

async function run(words: string[]): Promise<void> {
  const [command, ...args] = words;
  console.log(`Setting up the tests: ${words.join(" ")}`);
  const { success } = await new Deno.Command(command, { args }).spawn().status;
  if (!success) throw new Error(`Cannot set up the tests as this failed: ${words.join(" ")}`);
}

function missing(program: Program): string {
  return `Cannot run the tests as '${program.name}' is missing: install ${program.product} and ` +
    `run this command again`;
}

if (import.meta.main) {
  try {
    await setUp();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.log(summary({ passed: 0, failed: 1 }));
    Deno.exit(1);
  }
  const counts = await runTests(["--parallel", ...Deno.args]);
  console.log(summary(counts));
  Deno.exit(counts.failed > 0 ? 1 : 0);
}
