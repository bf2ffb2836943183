import type { ReactNode } from "react";

/** Pairs of a name and what it is. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
	return (
		<dl className="facts">
			{facts.map(([name, value]) => (
				<div key={name}>
					<dt>{name}</dt>
					<dd>{value}</dd>
				</div>
			))}
		</dl>
	);
}
