import type { Message } from "./message.ts";
import type { Json } from "./protocol/frames.ts";

/**
 * Names of the channels of a map `C` of names to payload types: its keys, which may be template
 * literals such as `` `room:${string}` ``. Without a map (`unknown`) any name.
 */
export type ChannelName<C> = unknown extends C ? string : keyof C & string;

/** What the map says of the payloads of a channel; `unknown` without a map. */
export type Publishable<C, N> = unknown extends C ? unknown : N extends keyof C ? C[N] : never;

/** Payloads of a channel: what the map says, or `T` where it says nothing or `unknown`. */
export type Payload<C, N, T = Json> = unknown extends Publishable<C, N> ? T : Publishable<C, N>;

/** A message of any channel of the map: its `channel` tells which, and so what its payload is. */
export type AnyMessage<C> = unknown extends C ? Message
  : { [N in ChannelName<C>]: Message<Payload<C, N>, N> }[ChannelName<C>];
