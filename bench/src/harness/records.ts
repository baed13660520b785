const text = "The deployment failed; rolled back and opened an issue.";

/** A memory value of about 80 bytes of JSON, as an agent notes them. */
export function memoryValue(turn: number): { readonly [name: string]: unknown } {
  return { turn, text };
}

/** What an agent says of one action: the input of an audit append. */
export function auditInput(turn: number) {
  return {
    action: "deploy.started",
    outcome: "success",
    target: { type: "service", id: `payment-${turn % 16}` },
    agent: { id: "bench-agent", run: `run-${turn}` },
    risk: "medium",
  } as const;
}
