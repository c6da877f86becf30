/** What processes use, read at one moment: the same one at which messages are counted. */

/** Ticks of /proc/PID/stat a second: 100 on every Linux that Deno runs on (sysconf(_SC_CLK_TCK)). */
const CLOCK_TICKS = 100;

/** CPU seconds that these processes have used so far, by the kernel for them included. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpu(`${pid}`), 0);
}

/** CPU seconds of this process. */
export function ownCpu(): number {
  return cpu("self");
}

/** Resident memory of these processes, in bytes. */
export function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }, 0);
}

function cpu(process: string): number {
  const stat = Deno.readTextFileSync(`/proc/${process}/stat`);
  // The name may contain spaces and parentheses; the fields after it do not (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
