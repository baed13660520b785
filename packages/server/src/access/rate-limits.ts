import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { tooMany } from "./refusals.ts";

/** How many requests are taken in a minute, by each process; 0 for any number. */
export interface RateLimits {
  /** From one address (of IPv6: one /64 network), whatever it sends. */
  readonly perAddress: number;
  /** With one key. */
  readonly perKey: number;
}

/** Twice and once a hundred a second: far beyond what agents need, and below what one process answers. */
export const defaultRateLimits: RateLimits = { perAddress: 12_000, perKey: 6000 };

/** Counts a request, and throws where it is one too many. */
export type Count = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

const windowMs = 60_000;
/** Addresses, or keys, counted at a time; beyond it those that were silent longest begin anew. */
const counted = 10_000;
/** Entries of the trail about one key's refusals in a minute; the others are in the log. */
const refusalEntries = 10;

/** The counters of one server. */
export interface Counters {
  readonly address: Count;
  readonly key: Count;
  /** Counts a refusal that is about to enter the trail; `false` when it is one too many. */
  readonly refusal: (request: FastifyRequest) => Promise<boolean>;
}

/** Makes the counters. */
export async function rateCounters(
  app: FastifyInstance,
  given: Partial<RateLimits> = {},
): Promise<Counters> {
  const limits = { ...defaultRateLimits, ...given };
  await app.register(rateLimit, { global: false });
  const options = { timeWindow: windowMs, cache: counted };
  const counter = (
    name: string,
    max: number,
    keyGenerator?: (request: FastifyRequest) => string,
  ) =>
    max === 0
      ? async () => undefined
      : limited(
          name,
          app.createRateLimit({ ...options, max, ...(keyGenerator && { keyGenerator }) }),
        );
  const refusals = app.createRateLimit({
    ...options,
    max: refusalEntries,
    keyGenerator: nameOfKey,
  });
  return {
    address: counter("address", limits.perAddress),
    key: counter("key", limits.perKey, nameOfKey),
    refusal: async (request) => {
      const counts = await refusals(request);
      return counts.isAllowed || !counts.isExceeded;
    },
  };
}

/** Under which a key's requests are counted. */
function nameOfKey({ principal, endedKeyId }: FastifyRequest): string {
  return principal?.kind === "key" ? principal.id : (endedKeyId ?? "");
}

/** Says in each answer how much is left, as draft-ietf-httpapi-ratelimit-headers-10 has it. */
function limited(name: string, count: ReturnType<FastifyInstance["createRateLimit"]>): Count {
  return async (request, reply) => {
    const counts = await count(request);
    if (counts.isAllowed) return;
    const { max, remaining, ttlInSeconds, isExceeded } = counts;
    const headers = {
      "ratelimit-policy": `"${name}";q=${max};w=${windowMs / 1000}`,
      ratelimit: `"${name}";r=${remaining};t=${ttlInSeconds}`,
    };
    if (isExceeded) throw tooMany({ ...headers, "retry-after": String(ttlInSeconds) });
    void reply.headers(headers);
  };
}
