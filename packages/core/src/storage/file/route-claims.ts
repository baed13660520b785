/** Which organisation holds which Slack route: in the whole deployment, a route belongs to one at a time. */
export class RouteClaims {
  readonly #holders = new Map<string, string>();

  /**
   * Takes a route for an organisation, unless another has it.
   *
   * @returns what gives it back should the commit fail, or `null` when it is taken
   */
  claim(route: string, orgId: string): (() => void) | null {
    const holder = this.#holders.get(route);
    if (holder === orgId) return () => undefined;
    if (holder !== undefined) return null;
    this.#holders.set(route, orgId);
    return () => this.release(route, orgId);
  }

  release(route: string, orgId: string): void {
    if (this.#holders.get(route) === orgId) this.#holders.delete(route);
  }

  /** Gives all routes of an organisation back. */
  releaseAll(orgId: string): void {
    for (const route of this.#holders.keys()) this.release(route, orgId);
  }
}
