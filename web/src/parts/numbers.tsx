export type Fact = [name: string, value: string, note: string];

/** A row of numbers, each with what it is and what it means. */
export function Numbers({ facts }: { facts: Fact[] }) {
	return (
		<dl className="numbers">
			{facts.map(([name, value, note]) => (
				<div key={name}>
					<dt>{name}</dt>
					<dd>
						<span className="number">{value}</span>
						<span className="number-note">{note}</span>
					</dd>
				</div>
			))}
		</dl>
	);
}
