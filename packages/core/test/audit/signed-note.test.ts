import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatVerifier,
  NoteError,
  noteSigner,
  noteVerifier,
  openNote,
  parseVerifier,
  signNote,
} from "../../src/audit/signed-note.ts";

const seedOf = (encoded: string) => Buffer.from(encoded, "base64").subarray(1);

describe("the published vectors:", () => {
  // golang.org/x/mod/sumdb/note: Ed25519 is deterministic, so signing is compared too. The seed is the one published with them.
  const peter = {
    text:
      "If you think cryptography is the answer to your problem,\n" +
      "then you don't know what your problem is.\n",
    verifier: "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    signature:
      "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
  };

  test("sumdb/note, in both directions", () => {
    const signer = noteSigner(
      "PeterNeumann",
      seedOf("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"),
    );
    expect(formatVerifier(signer)).toBe(peter.verifier);
    const note = `${peter.text}\n— PeterNeumann ${peter.signature}\n`;
    expect(signNote(peter.text, [signer])).toBe(note);
    const opened = openNote(note, [parseVerifier(peter.verifier)]);
    expect(opened.text).toBe(peter.text);
    expect(opened.signedBy.map(({ name, keyId }) => [name, keyId])).toEqual([
      ["PeterNeumann", "c74f20a3"],
    ]);
  });

  test("C2SP signed-note", () => {
    const verifier = parseVerifier(
      "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    );
    const signature =
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
    const note = `This is an example message.\n\n— example.com/foo ${signature}\n`;
    expect(openNote(note, [verifier]).text).toBe("This is an example message.\n");
  });
});

const name = fc
  .string({ minLength: 1, maxLength: 30, unit: "grapheme" })
  .filter((text) => text.isWellFormed() && !/[\s+\p{Cc}]/u.test(text));
const text = fc
  .array(fc.string({ unit: "grapheme" }).filter((line) => !/\p{Cc}/u.test(line)))
  .map((lines) => lines.map((line) => `${line}\n`).join(""))
  .filter((lines) => lines !== "");
const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("any note", () => {
  test("opens with the keys that signed it, and no byte of it can change", () => {
    const property = fc.property(
      text,
      name,
      name,
      seed,
      seed,
      fc.nat(),
      (said, a, b, s1, s2, at) => {
        const signers = [noteSigner(a, s1), noteSigner(`${b}2`, s2)];
        const note = signNote(said, signers);
        const verifiers = signers.map((signer) => parseVerifier(formatVerifier(signer)));
        expect(openNote(note, verifiers)).toEqual({ text: said, signedBy: verifiers });
        // Whoever trusts one of them needs to know nothing of the other.
        expect(openNote(note, verifiers.slice(1)).text).toBe(said);
        const bytes = Buffer.from(note);
        const where = at % bytes.length;
        bytes[where] = (bytes[where] ?? 0) ^ 1;
        expect(() => textUnder(bytes.toString("utf8"), said, verifiers)).toThrow(NoteError);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  /** The note may say the same with one signature less: the other one still stands. */
  function textUnder(note: string, said: string, verifiers: Parameters<typeof openNote>[1]) {
    const opened = openNote(note, verifiers);
    if (opened.text === said && opened.signedBy.length < verifiers.length)
      throw new NoteError("a signature is gone");
    return opened;
  }
});

describe("a note is refused", () => {
  const signer = noteSigner("log.example", randomBytes(32));
  const stranger = noteSigner("log.example", randomBytes(32));
  const note = signNote("text\n", [signer]);

  test.each([
    ["signed by nobody trusted", note, [stranger]],
    ["checked by nobody", note, []],
    ["without signatures", "text\n\n", [signer]],
    ["without an empty line", "text\n— log.example AAAA\n", [signer]],
    ["cut behind its text", "text\n", [signer]],
    ["without its last newline", note.slice(0, -1), [signer]],
    ["with a control character", note.replace("text", "te\tt"), [signer]],
    ["with other bytes in the base64", note.replace(/=?\n$/, "!\n"), [signer]],
    ["with a hyphen for the dash", note.replace("—", "-"), [signer]],
    ["with too many signatures", `text\n\n${note.slice(6).repeat(101)}`, [signer]],
    ["with a cut signature", `text\n\n— log.example ${idOnly(signer.keyId)}\n`, [signer]],
  ])("%s", (_, bad, verifiers) => {
    expect(() => openNote(bad, verifiers)).toThrow(NoteError);
  });

  test("when a trusted key's signature doesn't hold, whoever else signed it", () => {
    const forged = noteSigner("other.example", randomBytes(32));
    const other = signNote("other text\n", [forged]).split("\n\n")[1];
    const bad = `${note}${other}`;
    expect(openNote(bad, [signer]).text).toBe("text\n");
    expect(() => openNote(bad, [signer, forged])).toThrow(/other\.example .* doesn't hold/);
  });

  function idOnly(keyId: string): string {
    return Buffer.from(`${keyId}00`, "hex").toString("base64");
  }
});

describe("keys are refused", () => {
  test.each(["", "a b", "a+b", "a\nb", "a\u2003b", "\ud800"])("under the name %j", (bad) => {
    expect(() => noteVerifier(bad, randomBytes(32))).toThrow(NoteError);
  });

  test("of another length, algorithm or id", () => {
    const verifier = noteVerifier("log.example", randomBytes(32));
    const good = formatVerifier(verifier);
    expect(parseVerifier(good)).toEqual(verifier);
    const other = Buffer.from([0x06, ...verifier.publicKey]).toString("base64");
    const bad = [
      good.replace(/\+.{8}\+/, "+00000000+"),
      good.slice(0, -4),
      `log.example+${verifier.keyId}+${other}`,
      "log.example",
      "",
    ];
    for (const each of bad) expect(() => parseVerifier(each)).toThrow(NoteError);
    expect(() => noteVerifier("log.example", randomBytes(31))).toThrow(NoteError);
    expect(() => noteSigner("log.example", randomBytes(33))).toThrow(NoteError);
  });

  test("and texts that can't be signed", () => {
    const signer = noteSigner("log.example", randomBytes(32));
    for (const bad of ["", "no newline", "tab\t\n", "\ud800\n"])
      expect(() => signNote(bad, [signer])).toThrow(NoteError);
    expect(() => signNote("text\n", [])).toThrow(NoteError);
  });
});
