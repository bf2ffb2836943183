import type { Event } from "../api/gen/types.gen";
import { Tag } from "../parts/badge";
import { bytes, clock, moment } from "../words/format";
import { deed, outcomes, resultTone } from "../words/history";

/** One line of history: what was done, by whom, and what each backend answered. */
export function EventLine({ event: e, where }: { event: Event; where?: boolean }) {
	return (
		<li className="event">
			<time dateTime={e.time} title={moment(e.time)}>
				{where ? clock(e.time) : moment(e.time)}
			</time>
			<div className="event-what">
				<div>
					<strong title={e.op}>{deed(e.op)}</strong>{" "}
					{where && <code>{[e.bucket, e.key].filter(Boolean).join("/")}</code>}
					{e.size > 0 && <span className="dim"> {bytes(e.size)}</span>}
				</div>
				{e.detail && <div className="dim">{e.detail}</div>}
				{(e.actor || e.client || e.request_id) && (
					<div className="dim event-who">
						{[e.actor && `by ${e.actor}`, e.client && `from ${e.client}`, e.request_id && `request ${e.request_id}`]
							.filter(Boolean)
							.join(" · ")}
					</div>
				)}
			</div>
			<div className="event-tags">
				<Tag tone={resultTone(e.result)}>{e.result}</Tag>
				{outcomes(e.backends).map((o) => (
					<Tag key={o.text} tone={o.tone}>
						{o.text}
					</Tag>
				))}
			</div>
		</li>
	);
}
