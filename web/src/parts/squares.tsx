import type { ReplicaState } from "../api/gen/types.gen";
import { replicaTone } from "../words/replicas";

/** One mark for each replica in the order of the names; the words beside them say what they mean. */
export function Squares({ replicas }: { replicas: Record<string, ReplicaState> }) {
	const names = Object.keys(replicas).sort();
	return (
		<span className="squares" title={names.map((n) => `${n}: ${replicas[n]}`).join("\n")} aria-hidden="true">
			{names.map((n) => (
				<span
					key={n}
					data-tone={replicaTone[replicas[n] as ReplicaState]}
					data-full={replicas[n] === "current" || undefined}
				/>
			))}
		</span>
	);
}
