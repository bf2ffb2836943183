import { ActionIcon, Button, Group } from "@mantine/core";
import { type Upload, uploads, useUploads } from "../api/uploads";
import { Icon, type IconName } from "../parts/icons";
import { Panel } from "../parts/page";
import { bytes, count, span } from "../words/format";
import type { Tone } from "../words/tone";

const tones: Record<Upload["state"], Tone> = {
	waiting: "idle",
	going: "busy",
	paused: "warn",
	done: "good",
	failed: "bad",
	cancelled: "idle",
};

/** How far an upload is, in words. */
function how(u: Upload): string {
	switch (u.state) {
		case "going": {
			const left = u.speed > 0 ? ` · ${bytes(u.speed)}/s · ${span((u.file.size - u.sent) / u.speed)} to go` : "";
			return u.sent >= u.file.size && u.file.size > 0
				? "sent, being written"
				: `${bytes(u.sent)} of ${bytes(u.file.size)}${left}`;
		}
		case "paused":
			return `paused at ${bytes(u.sent)} of ${bytes(u.file.size)}`;
		case "failed":
			return u.why;
		case "done":
			return bytes(u.file.size);
		default:
			return u.state;
	}
}

const shown = 60; // rows; of thousands of files nobody reads the rest
const order: Upload["state"][] = ["failed", "going", "paused", "waiting", "cancelled", "done"];

/** The uploads into a bucket. */
export function Uploads({ bucket }: { bucket: string }) {
	const all = useUploads().filter((u) => u.bucket === bucket);
	if (all.length === 0) {
		return null;
	}
	const of = (...states: Upload["state"][]) => all.filter((u) => states.includes(u.state));
	const under = of("going", "waiting");
	const list = all.length > shown ? [...all].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)) : all;
	return (
		<Panel
			title="Uploads"
			note={<span aria-live="polite">{`${count(of("done").length)} of ${count(all.length)} written`}</span>}
			flush
			actions={
				<Group gap={6}>
					{under.length > 1 && (
						<Button variant="default" size="compact-sm" onClick={() => uploads.pauseAll(bucket)}>
							Pause all
						</Button>
					)}
					{of("paused").length > 1 && (
						<Button variant="default" size="compact-sm" onClick={() => uploads.resumeAll(bucket)}>
							Resume all
						</Button>
					)}
					{of("done", "failed", "cancelled").length > 0 && (
						<Button variant="default" size="compact-sm" onClick={() => uploads.clear()}>
							Clear
						</Button>
					)}
				</Group>
			}
		>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
			<ul className="uploads" tabIndex={0}>
				{list.slice(0, shown).map((u) => (
					<Row key={u.id} upload={u} />
				))}
				{list.length > shown && <li className="uploads-more">and {count(list.length - shown)} more</li>}
			</ul>
		</Panel>
	);
}

function Row({ upload: u }: { upload: Upload }) {
	return (
		<li data-tone={tones[u.state]}>
			<div className="upload-name">{u.key}</div>
			<div className="upload-what">{how(u)}</div>
			<Group gap={2} wrap="nowrap" justify="flex-end">
				{u.state === "going" && <Act icon="pause" verb="Pause" of={u.key} act={() => uploads.pause(u)} />}
				{u.state === "paused" && <Act icon="play" verb="Resume" of={u.key} act={() => uploads.resume(u)} />}
				{(u.state === "failed" || u.state === "cancelled") && (
					<Act icon="busy" verb="Try again" of={u.key} act={() => uploads.resume(u)} />
				)}
				{["going", "waiting", "paused"].includes(u.state) && (
					<Act icon="close" verb="Cancel" of={u.key} act={() => void uploads.cancel(u)} />
				)}
				{u.state === "done" && <Icon name="good" size={18} />}
			</Group>
			<progress
				className="upload-bar"
				max={Math.max(1, u.file.size)}
				value={u.state === "done" ? Math.max(1, u.file.size) : u.sent}
				aria-label={`Progress of ${u.key}`}
			/>
		</li>
	);
}

function Act({ icon, verb, of, act }: { icon: IconName; verb: string; of: string; act: () => void }) {
	return (
		<ActionIcon variant="subtle" color="gray" title={verb} aria-label={`${verb}: ${of}`} onClick={act}>
			<Icon name={icon} size={16} />
		</ActionIcon>
	);
}
