/** What a colour means, everywhere: fine, at work, look at it, act now, not in use. */
export type Tone = "good" | "busy" | "warn" | "bad" | "idle";
