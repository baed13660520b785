/** The page's style sheet. Its hash stands in the content security policy, so it is one constant text. */
export const homeStyle = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #14181f; --soft: #566072; --line: #dfe3ea;
  --accent: #2f5bd8; --good: #14703a; --good-back: #e2f4e8; --bad: #a3231f; --bad-back: #fdeae8;
  --warn: #7a4b00; --warn-back: #fdf1da; --code: #eef1f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #171b22; --ink: #e8ebf0; --soft: #9aa5b6; --line: #2a313c;
    --accent: #8ab0ff; --good: #7fdca0; --good-back: #12301f; --bad: #ff9d97; --bad-back: #3a1715;
    --warn: #f2c879; --warn-back: #33260d; --code: #0f141b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 58rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; }
h1 { font-size: 1.9rem; letter-spacing: -.02em; margin: 0; }
h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .08em; color: var(--soft); margin: 2.25rem 0 .75rem; }
.id { text-transform: none; letter-spacing: 0; color: var(--ink); overflow-wrap: anywhere; }
p { margin: .4rem 0; color: var(--soft); }
.state { font-weight: 600; padding: .2rem .75rem; border-radius: 999px; }
.state::before { content: ""; display: inline-block; width: .55em; height: .55em; margin-right: .5em; border-radius: 50%; background: currentColor; }
.ok { color: var(--good); background: var(--good-back); }
.unavailable { color: var(--bad); background: var(--bad-back); }
.note { margin: 1.25rem 0 0; padding: .8rem 1rem; border-radius: .6rem; overflow-wrap: anywhere; }
.note.bad { color: var(--bad); background: var(--bad-back); }
.note.warn { color: var(--warn); background: var(--warn-back); }
.grid { display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); margin: 0; padding: 0; list-style: none; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.1rem; }
.card strong { display: block; font-size: 1.75rem; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); }
a.card { display: block; height: 100%; color: inherit; text-decoration: none; }
a.card b { color: var(--accent); }
a.card:hover { border-color: var(--accent); }
a:focus-visible, pre:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .45rem 1.5rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 1rem 1.1rem; overflow-x: auto; background: var(--code); border: 1px solid var(--line); border-radius: .75rem; font: .875rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .6rem; } main { padding-top: 1.75rem; } }
`;
