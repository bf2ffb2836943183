import type { ReactNode } from "react";
import type { Tone } from "../words/tone";

/** A word in a colour; the colour says nothing that the word does not. */
export function Tag({ tone, children }: { tone: Tone; children: ReactNode }) {
	return (
		<span className="tag" data-tone={tone}>
			{children}
		</span>
	);
}

/** A tag with a dot, for what changes by itself. */
export function Live({ tone, children }: { tone: Tone; children: ReactNode }) {
	return (
		<span className="tag live" data-tone={tone}>
			<span className="dot" aria-hidden="true" />
			{children}
		</span>
	);
}
