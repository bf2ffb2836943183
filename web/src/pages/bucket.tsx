import { Button, Drawer, Group, Modal, NativeSelect, Stack, Switch, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { deleteBucket, getBucket, updateBucket } from "../api/gen/sdk.gen";
import type { Bucket } from "../api/gen/types.gen";
import { every } from "../api/live";
import { useStatus } from "../api/queries";
import { Tag } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Facts } from "../parts/facts";
import { Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { moment } from "../words/format";
import { ackMeans, bucketMeans, bucketTone, joined } from "../words/place";
import { promise } from "../words/replication";

/** One bucket: where it stands, when a write to it is answered, and its end. */
export function OneBucket({ name, close }: { name: string; close: () => void }) {
	const me = useMe();
	const bucket = useQuery({
		queryKey: ["bucket", name],
		queryFn: async () => (await getBucket({ path: { bucket: name } })).data,
		// What is filled changes by itself.
		refetchInterval: (q) =>
			q.state.data?.replicas.some((r) => r.state !== "present") ? every(3_000, 2_000)() : 20_000,
	});
	const b = bucket.data;
	return (
		<Drawer opened onClose={close} title={name} position="right" size="lg" closeButtonProps={{ "aria-label": "Close" }}>
			{bucket.isPending ? (
				<Waiting />
			) : b === undefined ? (
				<Oops error={bucket.error} action={<Button onClick={() => bucket.refetch()}>Try again</Button>} />
			) : (
				<Stack gap="xl">
					{b.deleting && <Note tone="warn">Its deletion has begun and is not over.</Note>}
					<div className="job-facts">
						<Facts
							facts={[
								["Made", moment(b.created)],
								["Mode", `${promise(b.mode, b.primary)}${b.own_mode ? " Set for this bucket." : ""}`],
							]}
						/>
					</div>
					<Stands b={b} admin={me.role === "admin"} />
					{me.role === "admin" ? (
						<Ack b={b} key={JSON.stringify(b.ack)} />
					) : (
						<p className="dim">{ackMeans(b.ack, b.replicas.length)}</p>
					)}
					{me.scopes.includes("write") && <Remove name={name} />}
				</Stack>
			)}
		</Drawer>
	);
}

function Stands({ b, admin }: { b: Bucket; admin: boolean }) {
	const [joining, setJoining] = useState(false);
	return (
		<section aria-label="Where it stands">
			<h2 className="section-title">Where it stands</h2>
			<ul className="replicas">
				{b.replicas.map((r) => (
					<li key={r.backend}>
						<strong>{r.backend}</strong>
						<Tag tone={bucketTone[r.state]}>{r.state}</Tag>
						<span>
							{r.reason ?? bucketMeans[r.state]}
							{r.name !== b.name && (
								<>
									{", as "}
									<code>{r.name}</code>
								</>
							)}
						</span>
					</li>
				))}
			</ul>
			{admin && !b.deleting && (
				<Button className="gap-above" size="compact-sm" variant="default" onClick={() => setJoining(true)}>
					Put it on another backend
				</Button>
			)}
			{joining && <Join b={b} close={() => setJoining(false)} />}
		</section>
	);
}

/** Has a backend join those that hold it. */
function Join({ b, close }: { b: Bucket; close: () => void }) {
	const on = b.replicas.map((r) => r.backend);
	const others = (useStatus().data?.backends ?? []).map((s) => s.name).filter((name) => !on.includes(name));
	const [picked, setPicked] = useState("");
	const [there, setThere] = useState("");
	const [equal, setEqual] = useState(false);
	const queries = useQueryClient();
	const join = useMutation({
		mutationFn: () => updateBucket({ path: { bucket: b.name }, body: joined(b.name, on, picked, there, equal) }),
		onSuccess: async () => {
			await queries.invalidateQueries({ queryKey: ["bucket", b.name] });
			await queries.invalidateQueries({ queryKey: ["jobs"] });
			close();
		},
	});
	return (
		<Modal
			opened
			onClose={close}
			title={`Put ${b.name} on another backend`}
			centered
			closeButtonProps={{ "aria-label": "Close" }}
		>
			<Stack>
				{others.length === 0 ? (
					<Text size="sm">It is on every backend already. Another one is added under Replication.</Text>
				) : (
					<>
						<NativeSelect
							label="Backend"
							data-autofocus
							value={picked}
							onChange={(e) => setPicked(e.currentTarget.value)}
							data={[{ value: "", label: "Choose one" }, ...others]}
						/>
						<TextInput
							label="Its name there"
							placeholder={b.name}
							autoComplete="off"
							autoCapitalize="none"
							value={there}
							onChange={(e) => setThere(e.currentTarget.value)}
						/>
						<Switch
							label="What is there already may be kept"
							description="You vouch that objects of the same size and ETag are the same. Others there are replaced, and those that it alone has are deleted"
							checked={equal}
							onChange={(e) => setEqual(e.currentTarget.checked)}
						/>
						<Note tone="warn">
							{picked || "It"} takes writes at once, and is filled by a resync that begins by itself; reads pass it by
							until then. No backend can leave a bucket again: it can only be paused or drained.
						</Note>
					</>
				)}
				{join.isError && <Note tone="bad">{join.error.message}</Note>}
				<Group justify="flex-end">
					<Button variant="default" onClick={close}>
						Leave it
					</Button>
					<Button disabled={picked === ""} loading={join.isPending} onClick={() => join.mutate()}>
						Put it there
					</Button>
				</Group>
			</Stack>
		</Modal>
	);
}

/** When a write to it is answered, and another rule for that. */
function Ack({ b }: { b: Bucket }) {
	const now = b.own_ack ? b.ack.at_least : 0;
	const [least, setLeast] = useState(now);
	const queries = useQueryClient();
	const include = b.own_ack ? b.ack.include : []; // set elsewhere, and kept
	const save = useMutation({
		mutationFn: () =>
			updateBucket({ path: { bucket: b.name }, body: { ack: { at_least: least, ...(least > 0 && { include }) } } }),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["bucket", b.name] }),
	});
	const n = b.replicas.length;
	return (
		<section aria-label="When a write is answered">
			<h2 className="section-title">When a write is answered</h2>
			<Group align="end" gap="sm" wrap="nowrap">
				<NativeSelect
					className="grows"
					label="Rule"
					value={String(least)}
					onChange={(e) => setLeast(Number(e.currentTarget.value))}
					data={[
						{ value: "0", label: "What the configuration says" },
						...Array.from({ length: n }, (_, i) => ({
							value: String(i + 1),
							label: `${i + 1} of ${n} have it`,
						})),
					]}
				/>
				<Button disabled={least === now} loading={save.isPending} onClick={() => save.mutate()}>
					Save
				</Button>
			</Group>
			<p className="dim">
				{least === 0 && b.own_ack
					? "The rule of the configuration is in force again from the next write."
					: ackMeans(least === now ? b.ack : { at_least: least, include }, n)}
			</p>
			{save.isError && <Note tone="bad">{save.error.message}</Note>}
		</section>
	);
}

function Remove({ name }: { name: string }) {
	const [asking, setAsking] = useState(false);
	const navigate = useNavigate();
	const queries = useQueryClient();
	const remove = useMutation({
		mutationFn: () => deleteBucket({ path: { bucket: name } }),
		onSuccess: async () => {
			await navigate({ to: "/objects" });
			await queries.invalidateQueries({ queryKey: ["buckets"] });
		},
	});
	return (
		<div className="danger">
			<div>
				<strong>Delete</strong>
				<div>Once it is empty; from every backend.</div>
			</div>
			<Button variant="outline" color="red.8" onClick={() => setAsking(true)}>
				Delete
			</Button>
			<Confirm
				title={`Delete ${name}?`}
				verb={`Delete ${name}`}
				opened={asking}
				busy={remove.isPending}
				error={remove.error}
				act={() => remove.mutate()}
				close={() => {
					setAsking(false);
					remove.reset();
				}}
			>
				It goes from every backend. A bucket that holds objects is refused.
			</Confirm>
		</div>
	);
}
