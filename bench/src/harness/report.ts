/** A figure of one contestant. */
export interface Figure {
  readonly value: number;
  readonly unit: "/s" | "ms" | "s" | "MiB" | "×";
}

/** What a figure or ratio has to reach. */
export interface Check {
  /** Reads after the figure: `× bare`, `ms p99`. */
  readonly label: string;
  readonly value: number;
  readonly target: number;
  readonly bound: "at least" | "at most";
  /**
   * `assertion`: without it the other figures mean nothing, so the run fails. `target`: an aim; missing it shows.
   */
  readonly kind: "target" | "assertion";
}

/** One line of the table. */
export interface Row {
  readonly scenario: string;
  readonly measure: string;
  readonly callers: string;
  readonly ours: Figure | null;
  readonly others: Readonly<Record<string, Figure>>;
  readonly checks: readonly Check[];
  /** What a reader must know to read the line, for example why a contestant is missing. */
  readonly note?: string;
}

/** A check of `value ≥ target`. */
export function atLeast(
  target: number,
  value: number,
  label: string,
  kind: Check["kind"] = "target",
): Check {
  return { label, value, target, bound: "at least", kind };
}

/** A check of `value ≤ target`. */
export function atMost(
  target: number,
  value: number,
  label: string,
  kind: Check["kind"] = "target",
): Check {
  return { label, value, target, bound: "at most", kind };
}

/** Whether the check is met. */
export function isMet(check: Check): boolean {
  return check.bound === "at least" ? check.value >= check.target : check.value <= check.target;
}

const header = ["", "measure", "callers", "ours", "others", "reached (target)"];

/** The whole table as Markdown. */
export function markdown(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.scenario,
    row.note === undefined ? row.measure : `${row.measure} (${row.note})`,
    row.callers,
    row.ours === null ? "" : figure(row.ours),
    Object.entries(row.others)
      .map(([name, value]) => `${name} ${figure(value)}`)
      .join(" · "),
    row.checks.map(verdict).join(" · "),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const paint = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [paint(header), rule, ...lines.map(paint)].join("\n");
}

function verdict(check: Check): string {
  const sign = check.bound === "at least" ? "≥" : "≤";
  return `${isMet(check) ? "✓" : "✗"} ${number(check.value)} ${check.label} (${sign} ${number(check.target)})`;
}

function figure({ value, unit }: Figure): string {
  return unit === "/s" ? `${number(value)}/s` : `${number(value)} ${unit}`;
}

/** Three significant digits, and no fractions of large numbers. */
function number(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
