/**
 * Secrets of tests, and the search for them in what the whole run writes. CONTRIBUTING.md, "Secrets in tests", says how tests use it.
 */
export { formsOf } from "./secrets/forms.ts";
export { testKey, testSecret } from "./secrets/marker.ts";
export { processListing } from "./secrets/process-listing.ts";
export { removeScratch, scratchFolder } from "./secrets/scratch.ts";
export { assertNoSecret } from "./secrets/search.ts";
export { StreamSearch } from "./secrets/stream-search.ts";
