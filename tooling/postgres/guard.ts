import { spawn } from "node:child_process";

/** Removes what a process leaves behind when it can't do it itself. */
export interface Guard {
  /** Everything was cleaned up in order: the guard goes away without doing anything. */
  dismiss(): void;
}

/*
 * A shell that waits on a pipe held by this process. However this process ends, kill -9 included,
 * the pipe closes and the shell stops the server named in the pid file and removes the folder.
 */
const SCRIPT = `
read -r word
[ "$word" = dismiss ] && exit 0
pid=$(head -n 1 "$1" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  i=0
  while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$2"
`;

/**
 * Watches over a server and its folder from outside this process.
 *
 * @param pidFile - file whose first line is the server's process id
 * @param folder - removed, with all it holds
 */
export function guard(pidFile: string, folder: string): Guard {
  const shell = spawn("/bin/sh", ["-c", SCRIPT, "guard", pidFile, folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  });
  shell.unref();
  const pipe = shell.stdin;
  if ("unref" in pipe && typeof pipe.unref === "function") pipe.unref();
  return { dismiss: () => pipe.end("dismiss\n") };
}
