/** What is known of a trail that isn't signed, or isn't anchored, as far as it goes. */
interface Account {
  /** Entries that this process knows of. */
  size: number;
  signed: number;
  /** Since when there are entries that aren't signed, in milliseconds since the epoch; meaningless when there are none. */
  unsignedSince: number;
  /** By anchor: how many entries it vouches for. */
  readonly anchored: number[];
  /** As `unsignedSince`, of what some anchor doesn't vouch for yet. */
  unanchoredSince: number;
}

/** How far a trail was when its process began. */
export interface Extent {
  readonly size: number;
  readonly anchored: number;
}

/** Entries that wait, and for how long the oldest of them does. */
export interface Backlog {
  readonly entries: number;
  readonly seconds: number;
}

/**
 * Keeps account of what isn't signed and not anchored: only of trails that have such entries, so it is small when all is well, and
 * asking it costs no look at the storage.
 */
export class Ledger {
  readonly #accounts = new Map<string, Account>();
  readonly #anchors: number;

  /** @param anchors - how many there are */
  constructor(anchors: number) {
    this.#anchors = anchors;
  }

  /** A trail has grown by `count` entries. @returns how many of its entries aren't signed */
  grew(orgId: string, to: number, count: number, nowMs: number): number {
    const account = this.#accounts.get(orgId) ?? this.open(orgId, to - count, nowMs);
    if (account.signed >= account.size) account.unsignedSince = nowMs;
    if (this.#anchoredOf(account) >= account.size) account.unanchoredSince = nowMs;
    account.size = Math.max(account.size, to);
    return Math.max(0, account.size - account.signed);
  }

  /** Begins with a trail of which so many entries are signed and anchored. */
  open(orgId: string, size: number, nowMs: number): Account {
    const account: Account = {
      size,
      signed: size,
      unsignedSince: nowMs,
      anchored: Array.from({ length: this.#anchors }, () => size),
      unanchoredSince: nowMs,
    };
    this.#accounts.set(orgId, account);
    return account;
  }

  /** A checkpoint over so many entries was signed. @returns how many of them aren't signed all the same */
  signed(orgId: string, size: number, nowMs: number): number {
    const account = this.#accounts.get(orgId) ?? this.open(orgId, size, nowMs);
    account.size = Math.max(account.size, size);
    account.signed = Math.max(account.signed, size);
    // What came meanwhile isn't older than this.
    account.unsignedSince = nowMs;
    this.#forget(orgId, account);
    return account.size - account.signed;
  }

  /** An anchor has so many entries of a trail. @param since - when the checkpoint was signed: what follows isn't older */
  anchored(orgId: string, anchor: number, size: number, since: number): void {
    const account = this.#accounts.get(orgId);
    if (account === undefined) return;
    const before = this.#anchoredOf(account);
    account.anchored[anchor] = Math.max(account.anchored[anchor] ?? 0, size);
    if (this.#anchoredOf(account) > before) account.unanchoredSince = since;
    this.#forget(orgId, account);
  }

  /** An anchor lacks entries of a trail that were signed earlier. */
  behind(orgId: string, anchor: number, { size, anchored }: Extent, since: number): void {
    const account = this.#accounts.get(orgId) ?? this.open(orgId, size, since);
    account.anchored[anchor] = Math.min(account.anchored[anchor] ?? 0, anchored);
    account.unanchoredSince = Math.min(account.unanchoredSince, since);
  }

  /** A trail is gone. */
  close(orgId: string): void {
    this.#accounts.delete(orgId);
  }

  clear(): void {
    this.#accounts.clear();
  }

  /** What isn't signed. */
  unsigned(nowMs: number): Backlog {
    return this.#backlog(nowMs, ({ signed, unsignedSince }) => [signed, unsignedSince]);
  }

  /** What some anchor doesn't vouch for. */
  unanchored(nowMs: number): Backlog {
    return this.#backlog(nowMs, (account) => [this.#anchoredOf(account), account.unanchoredSince]);
  }

  #backlog(nowMs: number, of: (account: Account) => readonly [done: number, since: number]) {
    let entries = 0;
    let oldest = nowMs;
    for (const account of this.#accounts.values()) {
      const [done, since] = of(account);
      if (done >= account.size) continue;
      entries += account.size - done;
      oldest = Math.min(oldest, since);
    }
    return { entries, seconds: Math.round((nowMs - oldest) / 1000) };
  }

  #anchoredOf({ anchored, size }: Account): number {
    return anchored.reduce((least, each) => Math.min(least, each), size);
  }

  #forget(orgId: string, account: Account): void {
    if (account.signed >= account.size && this.#anchoredOf(account) >= account.size)
      this.#accounts.delete(orgId);
  }
}
