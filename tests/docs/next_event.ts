/** The first event that a listener hears. */
export function nextEvent<T>(listen: (handler: (event: T) => void) => unknown): Promise<T> {
  return new Promise((resolve) => listen(resolve));
}
