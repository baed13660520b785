import {
  type CheckpointKeeper,
  type KeeperEvent,
  keepCheckpoints,
  type Storage,
} from "@codespar/core";
import type { Logger } from "pino";
import type { ServerConfig } from "./config.ts";

/** Whom the trail names for making its first signing key. */
const actor = { type: "system", id: "checkpoints" } as const;

/** Keeps checkpoints of every trail as the configuration says, and logs what happens. */
export function startCheckpoints(
  storage: Storage,
  config: Pick<ServerConfig, "checkpoints">,
  logger: Logger,
): CheckpointKeeper {
  return keepCheckpoints(storage.as(actor), {
    ...config.checkpoints,
    onEvent: (event) => logEvent(event, logger),
  });
}

function logEvent(event: KeeperEvent, logger: Logger): void {
  switch (event.kind) {
    case "signed": {
      const { orgId, checkpoint } = event;
      logger.debug({ orgId, size: checkpoint.size }, "signed a checkpoint");
      break;
    }
    case "anchored": {
      const { orgId, anchor, size } = event;
      logger.debug({ orgId, anchor, size }, "anchored a checkpoint");
      break;
    }
    case "failed": {
      const { orgId, what, error } = event;
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ orgId, what, reason }, `checkpoints: ${what} failed, and is tried again`);
      break;
    }
    case "recovered":
      logger.info({ what: event.what }, `checkpoints: ${event.what} works again`);
      break;
    case "off":
      logger.warn(event.reason);
      break;
  }
}
