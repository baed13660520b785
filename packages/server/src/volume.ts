import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";

const mountTable = "/proc/self/mountinfo";
const volatileTypes = new Set(["tmpfs", "ramfs", "overlay"]);

interface Mount {
  readonly point: string;
  readonly type: string;
}

/**
 * Whether a folder lies on a mounted volume, rather than in the file system that a platform builds anew for each deploy.
 *
 * @param mountInfo - text of Linux's `/proc/self/mountinfo`
 */
export function isOnVolume(directory: string, mountInfo: string = readMounts()): boolean {
  const path = realpathSync(nearestExisting(directory));
  const holding = mountInfo
    .split("\n")
    .flatMap(parseMount)
    .filter(({ point }) => point === "/" || path === point || path.startsWith(`${point}/`))
    .sort((a, b) => b.point.length - a.point.length)[0];
  return holding !== undefined && holding.point !== "/" && !volatileTypes.has(holding.type);
}

function readMounts(): string {
  return existsSync(mountTable) ? readFileSync(mountTable, "utf8") : "";
}

function nearestExisting(directory: string): string {
  return existsSync(directory) ? directory : nearestExisting(dirname(directory));
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: the fifth field, and the first after the dash. */
function parseMount(line: string): Mount[] {
  const [before = "", after = ""] = line.split(" - ");
  const point = before.split(" ")[4];
  const type = after.split(" ")[0];
  return point === undefined || type === undefined ? [] : [{ point: unescapeOctal(point), type }];
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
