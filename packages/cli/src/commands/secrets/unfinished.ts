import type { SecretsStatus } from "@codespar/core";

/** Whether a rotation is open: another key than the active one has sealed something, be it the canary, or still lies beside the files. */
export function isUnfinished(status: SecretsStatus): boolean {
  const { source, activeKey, canaryKey, keys, remaining } = status;
  if (remaining > 0 || (canaryKey !== null && canaryKey !== activeKey)) return true;
  return source === "folder" && keys.length > 1;
}
