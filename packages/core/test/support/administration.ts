import { text } from "node:stream/consumers";
import { type Deployment, deploymentOf, type Storage } from "../../src/index.ts";
import type { TestBackend } from "./backends.ts";
import { contentOf, fillOrganisation } from "./organisations.ts";
import { onPort } from "./port.ts";

/** Whom the trails name for what {@link administration} does. */
export const operator = { type: "user", id: "operator" } as const;

/** Three organisations: ids that begin alike, and one that needs care. */
export const idsOf = (backend: TestBackend): string[] => [
  backend.orgId,
  `${backend.orgId}-b`,
  `${backend.orgId}/../é`,
];

/** Fills the organisations; each has something in every table. */
export async function fillAll(backend: TestBackend): Promise<void> {
  const storage = backend.open();
  for (const orgId of idsOf(backend)) await fillOrganisation(storage.forOrg(orgId), orgId);
  await storage.close();
}

/** Everything that an organisation holds. Only while no handle is open on files. */
export function contents(backend: TestBackend, orgId: string): Promise<Record<string, unknown[]>> {
  return onPort(backend, (port) => contentOf(port, orgId, backend.clock.nowMs));
}

/** A handle, and the administration of the storage it belongs to. */
export function administration(backend: TestBackend): {
  readonly storage: Storage;
  readonly deployment: Deployment;
} {
  const storage = backend.open();
  return { storage, deployment: deploymentOf(storage.as(operator)) };
}

/** An organisation's archive as a whole. */
export async function archiveOf({ organisations }: Deployment, orgId: string): Promise<string> {
  return text(await organisations.export(orgId));
}
