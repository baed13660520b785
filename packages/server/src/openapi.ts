import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import {
  createJsonSchemaTransform,
  createJsonSchemaTransformObject,
} from "fastify-type-provider-zod";
import { describeHeaders } from "./http/answer-headers.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Request headers that the document describes. */
    readonly documentedHeaders?: readonly RequestHeader[];
  }
}

const requestHeaders = {
  "x-org-id": "The organisation, percent-encoded as an id in a path is. Without it: `default`.",
  "if-match": "Only when the record has one of these versions (`ETag`); otherwise 412.",
  "if-none-match":
    "`*`: only when there is no such record, otherwise 412. On a read, the versions one has: 304 when one is current.",
  "last-event-id": "The `id` of the last event received: the stream resumes behind it.",
  "idempotency-key":
    "The same key again returns what the first request made, and makes nothing new.",
} as const;

/** A request header that some routes understand. */
export type RequestHeader = keyof typeof requestHeaders;

const options = { zodToJsonConfig: { override: dropReadOnly } };
const transformZod = createJsonSchemaTransform(options);
const transformComponents = createJsonSchemaTransformObject(options);

/** Collects what the routes say about themselves, and serves a page to browse it at `/docs`. Call before the routes are added. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "CodeSpar",
        version,
        description:
          "The system of record for agents: what they remember, what they may do, and a tamper-evident trail of what they did.",
        license: { name: "MIT", identifier: "MIT" },
      },
      servers: [{ url: "/" }],
      components: {
        securitySchemes: {
          apiKey: {
            type: "http",
            scheme: "bearer",
            description:
              "An API key (`csk_…`) with the scope that stands at the operation, or the key of `CODESPAR_ADMIN_KEY`, which may do everything and alone what is the `operator`'s.",
          },
        },
      },
      tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    },
    transform: (document) => {
      const { url, schema } = transformZod(document);
      const config = document.route.config ?? {};
      const { documentedHeaders = [], scope, access } = config;
      const security = access === "public" ? [] : [{ apiKey: [scope ?? access ?? "caller"] }];
      const headers = documentedHeaders.length > 0 && headerSchema(documentedHeaders);
      const answers = schema.response as Readonly<Record<string, object>> | undefined;
      const response = answers && describeHeaders(answers, config);
      return {
        url,
        schema: { ...schema, security, ...(headers && { headers }), ...(response && { response }) },
      };
    },
    transformObject: (document) => {
      const described = transformComponents(document);
      if ("components" in described) dropInputForms(described.components?.schemas ?? {});
      return described;
    },
  });
  await app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: true,
    // Without the bar on top, which shows Fastify's logo and a box for the address of any document.
    uiConfig: { displayRequestDuration: true, tryItOutEnabled: false, layout: "BaseLayout" },
    theme: { title: "CodeSpar: API reference", favicon: [] },
  });
}

/** `/openapi.json` */
export function documentRoute(app: FastifyInstance): void {
  app.get("/openapi.json", { schema: { hide: true }, config: { access: "local" } }, () =>
    app.swagger(),
  );
}

/** The groups of the reference. */
export const tags = {
  health: "Whether the server and its storage work.",
  memory: "What agents remember: key-value memory per agent.",
  agents: "Agents, their status and how much they may do by themselves.",
  repository: "The repository that is linked to an agent.",
  projects: "The project registry.",
  audit: "The tamper-evident trail.",
  keys: "API keys of the organisation.",
  organisations:
    "The deployment's organisations, for whoever holds the key of `CODESPAR_ADMIN_KEY`.",
  secrets: "The keys that seal secrets, for the same.",
  integrations: "Credentials and settings of the services that agents use.",
  slack: "Where CodeSpar is installed in Slack.",
} as const;

/** The transform names each schema a second time as input, where none of ours is used by name. */
function dropInputForms(schemas: object): void {
  for (const name of Object.keys(schemas)) {
    if (name.endsWith("Input")) Reflect.deleteProperty(schemas, name);
  }
}

/** Zod marks readonly arrays `readOnly`, which in OpenAPI means something else. */
function dropReadOnly({ jsonSchema }: { readonly jsonSchema: { readOnly?: boolean } }): void {
  delete jsonSchema.readOnly;
}

function headerSchema(headers: readonly RequestHeader[]): object {
  const properties = headers.map((name) => [
    name,
    { type: "string", description: requestHeaders[name] },
  ]);
  return { type: "object", properties: Object.fromEntries(properties) };
}
