/**
 * What keeps answers out of caches, and browsers from guessing, framing or telling others: the headers that OWASP's REST Security Cheat Sheet
 * names, for answers that aren't pages. Pages loosen the policy for what they are made of.
 */
export const protective = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  // Heard only over HTTPS, which whatever stands in front speaks.
  "strict-transport-security": "max-age=31536000",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;
