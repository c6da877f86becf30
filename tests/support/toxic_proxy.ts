/**
 * A proxy that makes the network worse; see `dev/cluster/`.
 *
 * @module
 */
export {
  type Direction,
  type ProxyOptions,
  ToxicProxy,
  type Toxics,
} from "../../dev/cluster/proxy.ts";
