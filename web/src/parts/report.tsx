import type { Probe } from "../api/gen/types.gen";
import { findings, findingsInShort, findingTone, levelWords, mixesUp } from "../words/backends";
import { ago } from "../words/format";
import { Tag } from "./badge";

/** What a backend was found to do: what that means first, each finding on demand. */
export function Report({ probe }: { probe: Probe }) {
	const level = levelWords(probe.level);
	return (
		<div className="report">
			<p>
				<Tag tone={level.tone}>{level.text}</Tag> {level.means}
			</p>
			{probe.reasons.length > 0 && (
				<ul>
					{probe.reasons.map((r) => (
						<li key={r}>{r}</li>
					))}
				</ul>
			)}
			{mixesUp(probe) && <p>Keys of some kinds it would lose or mix up: buckets on it refuse such keys.</p>}
			<details>
				<summary>
					{findingsInShort(probe)}; {ago(probe.taken)}
					{probe.payload_mode && `; bodies as ${probe.payload_mode}`}
				</summary>
				<ul className="findings">
					{findings(probe).map((f) => (
						<li key={f.name}>
							<code>{f.name}</code>
							<Tag tone={findingTone[f.result] ?? "idle"}>{f.result}</Tag>
							<span className="dim">{f.detail}</span>
						</li>
					))}
				</ul>
			</details>
		</div>
	);
}
