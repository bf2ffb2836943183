import {
	Button,
	Drawer,
	Group,
	NativeSelect,
	PasswordInput,
	Stack,
	Text,
	Textarea,
	TextInput,
	type TextInputProps,
} from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { addBackend, changeBackend } from "../api/gen/sdk.gen";
import type { BackendDetail } from "../api/gen/types.gen";
import { useRefresh } from "../api/queries";
import { Report } from "../parts/report";
import { Note } from "../parts/states";
import { Refusal } from "../session/session";
import { backendChange, type Draft, newBackend, noDraft } from "../words/backends";

type Set = (change: Partial<Draft>) => void;

/** A field of plain text that nothing completes. */
function Line({
	of,
	draft,
	set,
	...rest
}: { of: keyof Draft; draft: Draft; set: Set } & Omit<TextInputProps, "value" | "onChange">) {
	return (
		<TextInput
			autoComplete="off"
			autoCapitalize="none"
			spellCheck={false}
			withAsterisk={false}
			value={draft[of]}
			onChange={(e) => set({ [of]: e.currentTarget.value })}
			{...rest}
		/>
	);
}

/** How a backend is spoken to: the same fields for a new one and for one that there is, which keeps what is left empty. */
function Fields({ draft, set, old }: { draft: Draft; set: Set; old?: BackendDetail }) {
	const kept = old ? "Left empty it stays as it is" : undefined;
	return (
		<>
			<Line
				of="endpoint"
				draft={draft}
				set={set}
				label="Address"
				type="url"
				description="URL without a path, as in https://s3.example.org"
				required={!old}
				placeholder={old?.endpoint}
			/>
			<Line of="key" draft={draft} set={set} label="Access key ID" required={!old} description={kept} />
			<PasswordInput
				label="Secret access key"
				description={old ? kept : "It is kept encrypted, and never shown again"}
				required={!old}
				withAsterisk={false}
				autoComplete="new-password"
				value={draft.secret}
				onChange={(e) => set({ secret: e.currentTarget.value })}
			/>
			<Line of="region" draft={draft} set={set} label="Region" placeholder={old?.region ?? "us-east-1"} />
			<details className="more">
				<summary>More: addressing, certificates, framing</summary>
				<Stack mt="sm">
					<NativeSelect
						label="Buckets are addressed"
						value={draft.addressing}
						onChange={(e) => set({ addressing: e.currentTarget.value as Draft["addressing"] })}
						data={[
							...(old ? [{ value: "", label: "As they are" }] : []),
							{ value: old ? "path" : "", label: "In the path: https://s3.example.org/bucket" },
							{ value: "host", label: "In the name of the host: https://bucket.s3.example.org" },
						]}
					/>
					<NativeSelect
						label="Bodies are framed"
						description="Automatic: as the probe finds that damaged ones are refused"
						value={draft.framing}
						onChange={(e) => set({ framing: e.currentTarget.value })}
						data={[
							{ value: "", label: old ? "As they are" : "Automatic" },
							...(old ? [{ value: "auto", label: "Automatic" }] : []),
							"unsigned-trailer",
							"signed-chunked",
						]}
					/>
					<Line
						of="storageClass"
						draft={draft}
						set={set}
						label="Storage class"
						description={kept ?? "In which it keeps objects; empty: its own"}
					/>
					<Textarea
						label="Certificates to trust"
						description={kept ?? "PEM, instead of the system's"}
						autosize={false}
						rows={3}
						spellCheck={false}
						value={draft.ca}
						onChange={(e) => set({ ca: e.currentTarget.value })}
					/>
					<Line
						of="bucket"
						draft={draft}
						set={set}
						label="Bucket to probe in"
						description="One that stands there; empty: one is made and removed, or one of ours is taken"
					/>
				</Stack>
			</details>
		</>
	);
}

/** A form that asks the backend before anything changes, and tells what it found. */
function Frame({
	act,
	children,
	says,
	verb,
	cancel,
	may = true,
}: {
	act: { mutate: () => void; error: Error | null; isPending: boolean };
	children: ReactNode;
	says: string;
	verb: string;
	cancel: () => void;
	may?: boolean;
}) {
	const probe = act.error instanceof Refusal ? act.error.probe : undefined;
	return (
		<form
			onSubmit={(e: FormEvent) => {
				e.preventDefault();
				act.mutate();
			}}
		>
			<Stack>
				{children}
				<Text size="sm">{says}</Text>
				{act.isPending && (
					<Note tone="busy">It is being probed: some hundred small requests, which take some seconds.</Note>
				)}
				{act.error && (
					<Note tone="bad" title={probe && "It was probed and is refused. Nothing has changed."}>
						{probe ? <Report probe={probe} /> : act.error.message}
					</Note>
				)}
				<Group justify="flex-end">
					<Button variant="default" onClick={cancel}>
						Cancel
					</Button>
					<Button type="submit" disabled={!may} loading={act.isPending}>
						{verb}
					</Button>
				</Group>
			</Stack>
		</form>
	);
}

/** Takes in a backend while the service runs. */
export function AddBackend({ close, added }: { close: () => void; added: (name: string) => void }) {
	const [draft, setDraft] = useState(noDraft);
	const set: Set = (change) => setDraft((d) => ({ ...d, ...change }));
	const refresh = useRefresh();
	const act = useMutation({
		mutationFn: async () => (await addBackend({ body: newBackend(draft) })).data,
		onSuccess: async (b) => {
			await refresh();
			added(b.name);
		},
	});
	const names = "1 to 32 of a-z, 0-9, -, _ and ., the first a letter or digit";
	return (
		<Drawer
			opened
			onClose={close}
			title="Add a backend"
			position="right"
			size="md"
			closeButtonProps={{ "aria-label": "Close" }}
		>
			<Frame
				act={act}
				verb="Probe and add"
				cancel={close}
				says="It is probed first; one that would lose or mix up data is refused. Then every node has it, and keeps it over restarts. No bucket is on it until one is made there."
			>
				<Line
					of="name"
					draft={draft}
					set={set}
					label="Name"
					description={`${names}. It must never become another store's`}
					pattern="[a-z0-9][a-z0-9._\-]{0,31}"
					title={names}
					required
					data-autofocus
				/>
				<Fields draft={draft} set={set} />
			</Frame>
		</Drawer>
	);
}

/** Changes how a backend is spoken to that was added. */
export function ChangeBackend({ backend, done }: { backend: BackendDetail; done: () => void }) {
	const [draft, setDraft] = useState(noDraft);
	const set: Set = (change) => setDraft((d) => ({ ...d, ...change }));
	const queries = useQueryClient();
	const change = backendChange(draft);
	const act = useMutation({
		mutationFn: () => changeBackend({ path: { name: backend.name }, body: change }),
		onSuccess: async () => {
			await queries.invalidateQueries({ queryKey: ["backend", backend.name] });
			done();
		},
	});
	return (
		<Frame
			act={act}
			verb="Probe and change"
			cancel={done}
			may={Object.keys(change).some((k) => k !== "bucket")}
			says="It is probed first, and must still be the same store: the buckets on it show who they are. Requests under way end as they began."
		>
			<Fields draft={draft} set={set} old={backend} />
		</Frame>
	);
}
