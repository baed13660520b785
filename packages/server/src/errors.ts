interface HttpErrorKind {
  readonly httpStatus: number;
  readonly title: string;
  /** Whether the same request can succeed later. */
  readonly retryable?: true;
}

/** What is fixed about an error that only HTTP knows; those of the storage contract are in `@codespar/core`'s registry. */
export const httpErrorCodes = {
  MALFORMED_REQUEST: { httpStatus: 400, title: "Malformed request" },
  UNAUTHENTICATED: { httpStatus: 401, title: "Not open to this caller" },
  FORBIDDEN: { httpStatus: 403, title: "Not allowed with this key" },
  ROUTE_NOT_FOUND: { httpStatus: 404, title: "No such route" },
  METHOD_NOT_ALLOWED: { httpStatus: 405, title: "Method not allowed" },
  REQUEST_TIMEOUT: {
    httpStatus: 408,
    title: "The request took too long to arrive",
    retryable: true,
  },
  URI_TOO_LONG: { httpStatus: 414, title: "The address is too long" },
  UNSUPPORTED_MEDIA_TYPE: { httpStatus: 415, title: "Unsupported media type" },
  EXPECTATION_FAILED: { httpStatus: 417, title: "Unknown expectation" },
  RATE_LIMITED: { httpStatus: 429, title: "Too many requests", retryable: true },
  HEADERS_TOO_LARGE: { httpStatus: 431, title: "The headers are too large" },
  INTERNAL: { httpStatus: 500, title: "Unexpected failure" },
  TOO_MANY_STREAMS: { httpStatus: 503, title: "Too many event streams", retryable: true },
} as const satisfies Record<string, HttpErrorKind>;

/** A stable code of an error that only HTTP knows. */
export type HttpErrorCode = keyof typeof httpErrorCodes;

/** A request that is refused before the storage is asked. Its message says what to do. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly code: HttpErrorCode;
  readonly statusCode: number;
  /** Headers that the answer carries besides the usual ones. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: HttpErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.code = code;
    this.statusCode = httpErrorCodes[code].httpStatus;
    this.headers = headers;
  }
}

/** Why the server didn't start: one line with the remedy. */
export class ServerStartError extends Error {
  override readonly name = "ServerStartError";
  /** Whether a variable or option has a value that can't be used, here or at all; otherwise something is in the way. */
  readonly configuration: boolean;

  constructor(message: string, options: ErrorOptions & { readonly configuration: boolean }) {
    super(message, options);
    this.configuration = options.configuration;
  }
}
