import { ActionIcon, Button, Group, Modal, SegmentedControl, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { createKey, deleteKey, listKeys, rotateKey } from "../api/gen/sdk.gen";
import type { KeyWithSecret } from "../api/gen/types.gen";
import { ago, day } from "../words/format";
import { Tag } from "./badge";
import { Confirm } from "./confirm";
import { Copied } from "./copied";
import { Icon, type IconName } from "./icons";
import { Cell, Rows } from "./rows";
import { Blank, Note, Oops, Waiting } from "./states";

const lives = [
	{ value: "0", label: "Never" },
	{ value: "7", label: "7 days" },
	{ value: "90", label: "90 days" },
	{ value: "365", label: "1 year" },
];

const graces = [
	{ value: "0", label: "no more" },
	{ value: "3600", label: "for 1 hour" },
	{ value: "86400", label: "for 1 day" },
	{ value: "604800", label: "for 7 days" },
];

/** Makes a key, or one in the place of another, and shows its secret once. */
function NewKey({ login, old, opened, close }: { login: string; old?: string; opened: boolean; close: () => void }) {
	const [days, setDays] = useState("90");
	const [grace, setGrace] = useState("86400");
	const [made, setMade] = useState<KeyWithSecret>();
	const queries = useQueryClient();
	const make = useMutation({
		mutationFn: async () => {
			if (old) {
				return (await rotateKey({ path: { login, id: old }, body: { grace_seconds: Number(grace) } })).data;
			}
			const expires = days === "0" ? undefined : new Date(Date.now() + Number(days) * 86_400_000).toISOString();
			return (await createKey({ path: { login }, body: { expires } })).data;
		},
		onSuccess: async (key) => {
			setMade(key);
			await queries.invalidateQueries({ queryKey: ["keys", login] });
			await queries.invalidateQueries({ queryKey: ["users"] });
		},
	});
	const done = () => {
		close();
		setMade(undefined); // the secret leaves the page with the dialog
		make.reset();
	};
	return (
		<Modal
			opened={opened}
			onClose={done}
			title={made ? "The new S3 key" : old ? "Replace this key" : "New S3 key"}
			centered
			closeOnClickOutside={!made}
			closeButtonProps={{ "aria-label": "Close" }}
		>
			{made ? (
				<Stack>
					<Note tone="warn">The secret is shown now and never again. Keep it where your client finds it.</Note>
					<Copied label="Access key ID" value={made.access_key_id} />
					<Copied label="Secret access key" value={made.secret_access_key} />
					<Group justify="flex-end">
						<Button onClick={done}>I have kept it</Button>
					</Group>
				</Stack>
			) : (
				<Stack>
					{old && (
						<Text size="sm">
							A new key comes in the place of <code>{old}</code>, and ends when that would have.
						</Text>
					)}
					<div>
						<Text size="sm" fw={500} mb={6} id="key-life">
							{old ? "The old one opens" : "Ends after"}
						</Text>
						<SegmentedControl
							fullWidth
							data={old ? graces : lives}
							value={old ? grace : days}
							onChange={old ? setGrace : setDays}
							aria-labelledby="key-life"
						/>
					</div>
					{make.isError && <Note tone="bad">{make.error.message}</Note>}
					<Group justify="flex-end">
						<Button variant="default" onClick={done}>
							Cancel
						</Button>
						<Button loading={make.isPending} onClick={() => make.mutate()}>
							{old ? "Replace it" : "Make the key"}
						</Button>
					</Group>
				</Stack>
			)}
		</Modal>
	);
}

const columns = [
	{ name: "Access key ID" },
	{ name: "Made" },
	{ name: "Last used" },
	{ name: "Ends" },
	{ name: "Actions", hidden: true },
];

/** One thing to do with a key, in its row. */
function KeyButton({
	act,
	id,
	icon,
	onClick,
}: {
	act: string;
	id: string;
	icon: IconName;
	onClick: (id: string) => void;
}) {
	return (
		<ActionIcon variant="subtle" color="gray" title={act} aria-label={`${act} key ${id}`} onClick={() => onClick(id)}>
			<Icon name={icon} size={16} />
		</ActionIcon>
	);
}

/** The S3 keys of a user: made, shown once, taken away. */
export function Keys({ login }: { login: string }) {
	const keys = useQuery({
		queryKey: ["keys", login],
		queryFn: async () => (await listKeys({ path: { login } })).data.keys,
	});
	const [opened, { open, close }] = useDisclosure(false);
	const [doomed, setDoomed] = useState<string>();
	const [old, setOld] = useState<string>();
	const queries = useQueryClient();
	const remove = useMutation({
		mutationFn: (id: string) => deleteKey({ path: { login, id } }),
		onSuccess: async () => {
			setDoomed(undefined);
			await queries.invalidateQueries({ queryKey: ["keys", login] });
			await queries.invalidateQueries({ queryKey: ["users"] });
		},
	});
	return (
		<>
			{keys.isPending ? (
				<Waiting rows={2} />
			) : keys.isError ? (
				<Oops error={keys.error} />
			) : keys.data.length === 0 ? (
				<Blank icon="key" title="No S3 keys yet">
					A key is what an S3 client signs its requests with.
				</Blank>
			) : (
				<Rows label="S3 keys" columns={columns}>
					{keys.data.map((k) => (
						<Table.Tr key={k.access_key_id}>
							<Cell label="Access key ID" head>
								<code>{k.access_key_id}</code>
							</Cell>
							<Cell label="Made">{day(k.created)}</Cell>
							<Cell label="Last used">{ago(k.last_used)}</Cell>
							<Cell label="Ends">
								{!k.expires ? (
									"never"
								) : Date.parse(k.expires) < Date.now() ? (
									<Tag tone="warn">ended {day(k.expires)}</Tag>
								) : (
									day(k.expires)
								)}
							</Cell>
							<Cell label="" num>
								<KeyButton act="Replace" id={k.access_key_id} icon="busy" onClick={setOld} />
								<KeyButton act="Remove" id={k.access_key_id} icon="trash" onClick={setDoomed} />
							</Cell>
						</Table.Tr>
					))}
				</Rows>
			)}
			<Group mt="md">
				<Button variant="default" leftSection={<Icon name="plus" size={16} />} onClick={open}>
					New key
				</Button>
			</Group>
			<NewKey login={login} opened={opened} close={close} />
			{old && <NewKey login={login} old={old} opened close={() => setOld(undefined)} />}
			<Confirm
				title="Remove this key?"
				verb="Remove the key"
				opened={doomed !== undefined}
				busy={remove.isPending}
				error={remove.error}
				act={() => doomed && remove.mutate(doomed)}
				close={() => {
					setDoomed(undefined);
					remove.reset();
				}}
			>
				Whoever signs with <code>{doomed}</code> is refused within five seconds. There is no way back.
			</Confirm>
		</>
	);
}
