import { ActionIcon, Button, Group } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { put } from "../api/objects";
import { Icon } from "../parts/icons";
import { Panel } from "../parts/page";
import { bytes } from "../words/format";
import type { Tone } from "../words/tone";

export type Upload = {
	id: number;
	key: string;
	file: File;
	sent: number;
	state: "waiting" | "going" | "done" | "failed" | "cancelled";
	why: string;
	stop: AbortController;
};

const atOnce = 3;
let lastId = 0;

/** Uploads into a bucket, a few at a time, in the order in which they were given. */
export function useUploads(bucket: string) {
	const [list, setList] = useState<Upload[]>([]);
	const queries = useQueryClient();
	const change = useCallback(
		(id: number, c: Partial<Upload>) => setList((l) => l.map((u) => (u.id === id ? { ...u, ...c } : u))),
		[],
	);
	const begun = useRef(new Set<number>());

	useEffect(() => {
		const going = list.filter((u) => u.state === "going").length;
		for (const u of list.filter((u) => u.state === "waiting" && !begun.current.has(u.id)).slice(0, atOnce - going)) {
			begun.current.add(u.id);
			change(u.id, { state: "going" });
			put(bucket, u.key, u.file, (sent) => change(u.id, { sent }), u.stop.signal)
				.then(() => change(u.id, { state: "done", sent: u.file.size }))
				.catch((e: Error) =>
					change(u.id, u.stop.signal.aborted ? { state: "cancelled" } : { state: "failed", why: e.message }),
				)
				.finally(() => queries.invalidateQueries({ queryKey: ["objects", bucket] }));
		}
	}, [list, bucket, change, queries]);

	// Who leaves while something is on its way is asked first.
	const busy = list.some((u) => u.state === "going" || u.state === "waiting");
	useEffect(() => {
		const ask = (e: BeforeUnloadEvent) => e.preventDefault();
		if (busy) {
			window.addEventListener("beforeunload", ask);
		}
		return () => window.removeEventListener("beforeunload", ask);
	}, [busy]);

	return {
		list,
		add: (folder: string, files: { name: string; file: File }[]) =>
			setList((l) => [
				...l,
				...files.map(({ name, file }) => ({
					id: ++lastId,
					key: folder + name,
					file,
					sent: 0,
					state: "waiting" as const,
					why: "",
					stop: new AbortController(),
				})),
			]),
		cancel: (u: Upload) => {
			u.stop.abort();
			if (u.state === "waiting") {
				begun.current.add(u.id);
				change(u.id, { state: "cancelled" });
			}
		},
		again: (u: Upload) => {
			begun.current.delete(u.id);
			change(u.id, { state: "waiting", sent: 0, why: "", stop: new AbortController() });
		},
		clear: () => setList((l) => l.filter((u) => u.state === "going" || u.state === "waiting")),
	};
}

const tones: Record<Upload["state"], Tone> = {
	waiting: "idle",
	going: "busy",
	done: "good",
	failed: "bad",
	cancelled: "idle",
};

export function Uploads({ uploads }: { uploads: ReturnType<typeof useUploads> }) {
	const { list, cancel, again, clear } = uploads;
	if (list.length === 0) {
		return null;
	}
	const done = list.filter((u) => u.state === "done").length;
	const over = list.every((u) => u.state !== "going" && u.state !== "waiting");
	return (
		<Panel
			title="Uploads"
			note={<span aria-live="polite">{`${done} of ${list.length} written`}</span>}
			flush
			actions={
				over && (
					<Button variant="default" size="compact-sm" onClick={clear}>
						Clear
					</Button>
				)
			}
		>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
			<ul className="uploads" tabIndex={0}>
				{list.map((u) => (
					<li key={u.id} data-tone={tones[u.state]}>
						<div className="upload-name">{u.key}</div>
						<div className="upload-what">
							{u.state === "going"
								? `${bytes(u.sent)} of ${bytes(u.file.size)}`
								: u.state === "failed"
									? u.why
									: u.state === "done"
										? bytes(u.file.size)
										: u.state}
						</div>
						<Group gap={4} wrap="nowrap">
							{(u.state === "going" || u.state === "waiting") && (
								<ActionIcon
									variant="subtle"
									color="gray"
									title="Cancel"
									aria-label={`Cancel ${u.key}`}
									onClick={() => cancel(u)}
								>
									<Icon name="close" size={16} />
								</ActionIcon>
							)}
							{(u.state === "failed" || u.state === "cancelled") && (
								<ActionIcon
									variant="subtle"
									color="gray"
									title="Again"
									aria-label={`Upload ${u.key} again`}
									onClick={() => again(u)}
								>
									<Icon name="busy" size={16} />
								</ActionIcon>
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
				))}
			</ul>
		</Panel>
	);
}
