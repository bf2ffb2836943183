import { Button, Group, Stack } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { history_ as history } from "../api/gen/sdk.gen";
import type { Object as Obj } from "../api/gen/types.gen";
import { content, describe, type Named, remove, save } from "../api/objects";
import { Tag } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Facts } from "../parts/facts";
import { Icon } from "../parts/icons";
import { LinkIt } from "../parts/link";
import { Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { bytes, moment } from "../words/format";
import { replicaMeaning, replicaTone } from "../words/replicas";
import { EventLine } from "./event";

/** One object: what it is, how each replica stands, what it holds, and what was done to it. */
export function ObjectDetail({ bucket, named, gone }: { bucket: string; named: Named; gone: () => void }) {
	const me = useMe();
	const queries = useQueryClient();
	const [dooming, setDooming] = useState(false);
	const [linking, setLinking] = useState(false);
	const object = useQuery({
		queryKey: ["object", bucket, named.key_encoded ?? named.key],
		queryFn: () => describe(bucket, named),
		refetchInterval: (q) => (Object.values(q.state.data?.replicas ?? {}).some((r) => r !== "current") ? 2_000 : 15_000),
	});
	const download = useMutation({ mutationFn: () => save(bucket, named) });
	const doom = useMutation({
		mutationFn: () => remove(bucket, named),
		onSuccess: async () => {
			gone();
			await queries.invalidateQueries({ queryKey: ["objects", bucket] });
		},
	});
	if (object.isPending) {
		return <Waiting />;
	}
	if (object.isError) {
		return <Oops error={object.error} />;
	}
	const o = object.data;
	return (
		<Stack gap="lg">
			<Group gap="xs">
				<Button
					variant="default"
					leftSection={<Icon name="download" size={16} />}
					loading={download.isPending}
					onClick={() => download.mutate()}
				>
					Download
				</Button>
				{!named.key_encoded && (
					<Button variant="default" leftSection={<Icon name="link" size={16} />} onClick={() => setLinking(true)}>
						Link
					</Button>
				)}
				{me.scopes.includes("write") && (
					<Button variant="default" leftSection={<Icon name="trash" size={16} />} onClick={() => setDooming(true)}>
						Delete
					</Button>
				)}
			</Group>
			{download.isError && <Note tone="bad">{download.error.message}</Note>}
			<section aria-label="Replicas">
				<h2 className="section-title">Replicas</h2>
				<ul className="replicas">
					{Object.entries(o.replicas)
						.sort(([a], [b]) => a.localeCompare(b))
						.map(([name, state]) => (
							<li key={name}>
								<strong>{name}</strong>
								<Tag tone={replicaTone[state]}>{state}</Tag>
								<span>
									{replicaMeaning[state]}
									{o.refusals?.[name] && <>{`: ${o.refusals[name].code} ${o.refusals[name].message}`}</>}
								</span>
							</li>
						))}
				</ul>
			</section>
			<Preview bucket={bucket} named={named} object={o} />
			<section aria-label="Properties">
				<h2 className="section-title">Properties</h2>
				<Facts
					facts={[
						["Key", <code key="key">{o.key}</code>],
						["Size", `${bytes(o.size)}${o.size >= 1024 ? ` (${o.size.toLocaleString("en")} bytes)` : ""}`],
						["Changed", moment(o.last_modified)],
						["ETag", <code key="etag">{o.etag}</code>],
						...Object.entries(o.headers).map(([name, value]): [string, string] => [name, value]),
						...Object.entries(o.metadata).map(([name, value]): [string, string] => [`x-amz-meta-${name}`, value]),
					]}
				/>
			</section>
			{linking && <LinkIt bucket={bucket} name={named.key} close={() => setLinking(false)} />}
			{me.role === "admin" && <Past bucket={bucket} keyName={o.key} />}
			<Confirm
				title="Delete this object?"
				verb="Delete it everywhere"
				opened={dooming}
				busy={doom.isPending}
				error={doom.error}
				act={() => doom.mutate()}
				close={() => {
					setDooming(false);
					doom.reset();
				}}
			>
				<code>
					{bucket}/{o.key}
				</code>{" "}
				is removed from every backend. There is no way back.
			</Confirm>
		</Stack>
	);
}

const pictureLimit = 8 << 20; // bytes
const textShown = 16 << 10; // bytes

const isPicture = (type: string) => /^image\/(png|jpeg|gif|webp|avif)$/.test(type);
const isText = (type: string) => /^text\/|^application\/(json|yaml|xml|x-yaml|toml)|\+(json|xml)$/.test(type);

/** The picture, or the start of the text. Nothing that could run is ever opened. */
function Preview({ bucket, named, object: o }: { bucket: string; named: Named; object: Obj }) {
	const type = (o.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
	const picture = isPicture(type) && o.size <= pictureLimit;
	const text = isText(type);
	const shown = useQuery({
		queryKey: ["preview", bucket, named.key_encoded ?? named.key, o.etag],
		enabled: o.size > 0 && (picture || text),
		staleTime: Number.POSITIVE_INFINITY,
		gcTime: 60_000,
		queryFn: async () => {
			const answer = await content(
				bucket,
				named,
				text && o.size > textShown ? { Range: `bytes=0-${textShown - 1}` } : {},
			);
			return text ? { text: await answer.text() } : { blob: new Blob([await answer.arrayBuffer()], { type }) };
		},
	});
	const blob = shown.data && "blob" in shown.data ? shown.data.blob : undefined;
	const [url, setUrl] = useState<string>();
	useEffect(() => {
		if (!blob) {
			return;
		}
		const made = URL.createObjectURL(blob);
		setUrl(made);
		return () => URL.revokeObjectURL(made);
	}, [blob]);
	if (o.size === 0 || !(picture || text)) {
		return null;
	}
	return (
		<section aria-label="Preview">
			<h2 className="section-title">Preview</h2>
			{shown.isPending ? (
				<Waiting rows={1} height={140} />
			) : shown.isError ? (
				<Note tone="bad">{shown.error.message}</Note>
			) : "text" in shown.data ? (
				<>
					{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
					<pre className="preview-text" tabIndex={0}>
						{shown.data.text}
					</pre>
					{o.size > textShown && <p className="panel-note">The first {bytes(textShown)}.</p>}
				</>
			) : (
				url && <img className="preview-picture" src={url} alt={o.key} />
			)}
		</section>
	);
}

/** What was done to a key, newest first. */
function Past({ bucket, keyName }: { bucket: string; keyName: string }) {
	const past = useQuery({
		queryKey: ["history", bucket, keyName],
		queryFn: async () => (await history({ query: { bucket, prefix: keyName, limit: 50 } })).data.events,
		refetchInterval: 10_000,
	});
	const own = past.data?.filter((e) => e.key === keyName) ?? [];
	return (
		<section aria-label="History">
			<h2 className="section-title">History</h2>
			{past.isPending ? (
				<Waiting rows={2} />
			) : past.isError ? (
				<Note tone="bad">{past.error.message}</Note>
			) : own.length === 0 ? (
				<p className="panel-note">Nothing in the time that the history is kept.</p>
			) : (
				<ul className="events">
					{own.slice(0, 12).map((e) => (
						<EventLine key={`${e.time} ${e.id} ${e.op}`} event={e} />
					))}
				</ul>
			)}
		</section>
	);
}
