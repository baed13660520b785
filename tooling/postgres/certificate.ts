import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Certificate } from "./cluster.ts";

/** Why tests that need TLS are skipped where openssl is missing; print it with the skip. */
export const OPENSSL_MISSING = "openssl not installed: apt-get install openssl";

/** Whether an `openssl` program is on the PATH. */
export function hasOpenssl(): boolean {
  return spawnSync("openssl", ["version"]).status === 0;
}

/** A certificate for one host name or address, good for a day; being signed by itself, it is its own authority. */
export async function selfSigned(host: string): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), "codespar-tls-"));
  const [key, certificate] = [join(folder, "key"), join(folder, "certificate")];
  try {
    await promisify(execFile)("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "1", "-subj", "/CN=codespar test", "-keyout", key, "-out", certificate],
      ...["-addext", `subjectAltName=${isIP(host) ? "IP" : "DNS"}:${host}`],
    ]);
    return { key: await readFile(key, "utf8"), certificate: await readFile(certificate, "utf8") };
  } finally {
    await rm(folder, { recursive: true });
  }
}
