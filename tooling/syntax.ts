import ts from "typescript";

/** A module that a file names in an import, an export or an `import()`. */
export interface Import {
  readonly specifier: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

/** What the house rules ask about a file. */
export interface Facts {
  readonly imports: readonly Import[];
  readonly readsEnvironment: boolean;
  readonly usesConsole: boolean;
  readonly exportsDefault: boolean;
  readonly exportsAll: boolean;
}

/** Reads a TypeScript file's syntax; comments and strings don't count. */
export function factsOf(path: string, text: string): Facts {
  const nodes = allNodes(ts.createSourceFile(path, text, ts.ScriptTarget.Latest));
  const imports = nodes.flatMap((node) => importOf(node) ?? []);
  return {
    imports,
    readsEnvironment:
      nodes.some((node) => isMember(node, "process", "env")) ||
      imports.some(({ specifier }) => /^(node:)?process$/.test(specifier)),
    usesConsole: nodes.some((node) => isMember(node, "console")),
    exportsDefault: nodes.some(isDefaultExport),
    exportsAll: nodes.some(
      (node) => ts.isExportDeclaration(node) && node.exportClause === undefined,
    ),
  };
}

function allNodes(node: ts.Node): ts.Node[] {
  const nodes = [node];
  ts.forEachChild(node, (child) => {
    nodes.push(...allNodes(child));
  });
  return nodes;
}

function importOf(node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node)) {
    const typeOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return named(node.moduleSpecifier, typeOnly);
  }
  if (ts.isExportDeclaration(node)) return named(node.moduleSpecifier, node.isTypeOnly);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return named(node.argument.literal, true);
  }
  const isCall = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  return isCall ? named(node.arguments[0], false) : undefined;
}

function named(specifier: ts.Node | undefined, typeOnly: boolean): Import | undefined {
  if (specifier === undefined || !ts.isStringLiteral(specifier)) return undefined;
  return { specifier: specifier.text, typeOnly };
}

/** `object.member` or `object["member"]`; any member when none is named. */
function isMember(node: ts.Node, object: string, member?: string): boolean {
  if (!ts.isPropertyAccessExpression(node) && !ts.isElementAccessExpression(node)) return false;
  if (!ts.isIdentifier(node.expression) || node.expression.text !== object) return false;
  const name = ts.isPropertyAccessExpression(node) ? node.name : node.argumentExpression;
  return member === undefined || ("text" in name && name.text === member);
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (!ts.canHaveModifiers(node)) return false;
  return ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) === true;
}
