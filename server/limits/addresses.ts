/**
 * What an address stands for in counts: itself, or the /64 of an IPv6 address, since whoever has one
 * address of it has them all.
 *
 * @param address as {@linkcode Peer.address}: in one form, IPv6 shortened (RFC 5952)
 * @returns `undefined` where many may stand behind it: it is this machine's own, or nobody knows it
 */
export function addressKey(address: string | undefined): string | undefined {
  if (address === undefined || address === "::1" || address.startsWith("127.")) return undefined;
  return address.includes(":") ? networkOf(address) : address;
}

function networkOf(address: string): string {
  const [head, tail] = address.split("::", 2);
  const groups = groupsOf(head);
  if (tail !== undefined) {
    const behind = groupsOf(tail);
    while (groups.length + behind.length < 8) groups.push("0");
    groups.push(...behind);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
