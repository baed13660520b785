import type { Command } from "commander";
import { addAuditCheckpoint } from "./audit/checkpoint.ts";
import { addAuditExport } from "./audit/export.ts";
import { addAuditKeys } from "./audit/keys.ts";
import { addAuditList } from "./audit/list.ts";
import { addAuditProve } from "./audit/prove.ts";
import { addAuditRedact } from "./audit/redact.ts";
import { addAuditShow } from "./audit/show.ts";
import { addAuditVerify } from "./audit/verify.ts";

/** `codespar audit …`: the trail of what was done. */
export function addAuditCommands(program: Command): void {
  const audit = program
    .command("audit")
    .description("read, prove, export and verify the trail of what was done");
  addAuditList(audit);
  addAuditShow(audit);
  addAuditExport(audit);
  addAuditCheckpoint(audit);
  addAuditProve(audit);
  addAuditRedact(audit);
  addAuditKeys(audit);
  addAuditVerify(audit);
}
