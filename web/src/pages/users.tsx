import { Button, Drawer, Group, Stack, Table, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { deleteUser, getUser, listUsers, unlockUser, updateUser } from "../api/gen/sdk.gen";
import type { User } from "../api/gen/types.gen";
import { Tag } from "../parts/badge";
import { Confirm } from "../parts/confirm";
import { Icon } from "../parts/icons";
import { Keys } from "../parts/keys";
import { Page, Panel } from "../parts/page";
import { Cell, Rows } from "../parts/rows";
import { Blank, Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { count, moment } from "../words/format";
import { limitsInShort, mayDo } from "../words/user";
import { NewUserForm, UserForm } from "./user-form";

export function Users() {
	const [wanted, setWanted] = useState("");
	const [making, setMaking] = useState(false);
	const [open, setOpen] = useState<string>();
	const users = useInfiniteQuery({
		queryKey: ["users", "list"],
		queryFn: async ({ pageParam }) => (await listUsers({ query: { limit: 200, cursor: pageParam } })).data,
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (page) => page.cursor,
	});
	const all = users.data?.pages.flatMap((p) => p.users) ?? [];
	const shown = all.filter((u) => u.login.includes(wanted.trim().toLowerCase()));
	return (
		<Page
			title="Users"
			actions={
				<Button leftSection={<Icon name="plus" size={16} />} onClick={() => setMaking(true)}>
					New user
				</Button>
			}
		>
			<Panel
				title="Who may do what"
				note="Limits are in force on every node within five seconds"
				flush
				actions={
					<TextInput
						aria-label="Find a login"
						placeholder="Find a login"
						leftSection={<Icon name="search" size={16} />}
						value={wanted}
						onChange={(e) => setWanted(e.currentTarget.value)}
					/>
				}
			>
				{users.isPending ? (
					<div className="panel-pad">
						<Waiting rows={5} />
					</div>
				) : users.isError ? (
					<Oops error={users.error} action={<Button onClick={() => users.refetch()}>Try again</Button>} />
				) : shown.length === 0 ? (
					<Blank icon="users" title="Nobody is called that">
						{users.hasNextPage ? "Among those that are loaded." : `${count(all.length)} others are.`}
					</Blank>
				) : (
					<UserTable users={shown} open={setOpen} />
				)}
				{users.hasNextPage && (
					<Group justify="center" p="md">
						<Button variant="default" loading={users.isFetchingNextPage} onClick={() => users.fetchNextPage()}>
							More
						</Button>
					</Group>
				)}
			</Panel>
			<Drawer
				opened={making}
				onClose={() => setMaking(false)}
				title="New user"
				position="right"
				size="md"
				closeButtonProps={{ "aria-label": "Close" }}
			>
				<NewUserForm
					done={(login) => {
						setMaking(false);
						setOpen(login);
					}}
				/>
			</Drawer>
			<Drawer
				opened={open !== undefined}
				onClose={() => setOpen(undefined)}
				title={open}
				position="right"
				size="lg"
				closeButtonProps={{ "aria-label": "Close" }}
			>
				{open && <OneUser login={open} close={() => setOpen(undefined)} />}
			</Drawer>
		</Page>
	);
}

const columns = [
	{ name: "Login" },
	{ name: "Role" },
	{ name: "On S3" },
	{ name: "Limits" },
	{ name: "Keys", num: true },
	{ name: "State" },
];

function UserTable({ users, open }: { users: User[]; open: (login: string) => void }) {
	return (
		<Rows label="Users" columns={columns}>
			{users.map((u) => (
				<Table.Tr key={u.login}>
					<Cell label="Login" head>
						{u.login === "root" ? (
							<strong>root</strong>
						) : (
							<button type="button" className="row-button" onClick={() => open(u.login)}>
								{u.login}
							</button>
						)}
					</Cell>
					<Cell label="Role">{u.role === "admin" ? "Administrator" : "User"}</Cell>
					<Cell label="On S3">{mayDo(u)}</Cell>
					<Cell label="Limits">
						<div className="clip" title={limitsInShort(u)}>
							{limitsInShort(u)}
						</div>
					</Cell>
					<Cell label="Keys" num>
						{u.login === "root" ? "–" : count(u.keys)}
					</Cell>
					<Cell label="State">
						<Standing user={u} />
					</Cell>
				</Table.Tr>
			))}
		</Rows>
	);
}

function Standing({ user }: { user: User }) {
	if (user.login === "root") {
		return <Tag tone="idle">built in</Tag>;
	}
	if (!user.active) {
		return <Tag tone="bad">disabled</Tag>;
	}
	if (user.locked_until) {
		return <Tag tone="warn">locked out</Tag>;
	}
	return <Tag tone="good">active</Tag>;
}

function OneUser({ login, close }: { login: string; close: () => void }) {
	const queries = useQueryClient();
	const me = useMe();
	const [dooming, setDooming] = useState(false);
	const user = useQuery({
		queryKey: ["users", login],
		queryFn: async () => (await getUser({ path: { login } })).data,
	});
	const refresh = () => queries.invalidateQueries({ queryKey: ["users"] });
	const able = useMutation({
		mutationFn: (active: boolean) => updateUser({ path: { login }, body: { active } }),
		onSuccess: refresh,
	});
	const unlock = useMutation({ mutationFn: () => unlockUser({ path: { login } }), onSuccess: refresh });
	const remove = useMutation({
		mutationFn: () => deleteUser({ path: { login } }),
		onSuccess: async () => {
			close();
			await refresh();
		},
	});
	if (user.isPending) {
		return <Waiting />;
	}
	if (user.isError) {
		return <Oops error={user.error} />;
	}
	const u = user.data;
	return (
		<Stack gap="xl">
			{!u.active && (
				<Note tone="bad" title="Disabled.">
					Neither password nor keys open anything.
				</Note>
			)}
			{u.locked_until && (
				<Note tone="warn" title="Locked out.">
					<Group justify="space-between" gap="xs">
						<span>After too many wrong passwords, until {moment(u.locked_until)}.</span>
						<Button size="compact-sm" variant="default" loading={unlock.isPending} onClick={() => unlock.mutate()}>
							Let him try again
						</Button>
					</Group>
				</Note>
			)}
			<UserForm user={u} key={u.changed} />
			<section aria-label="S3 keys">
				<h2 className="section-title">S3 keys</h2>
				<Keys login={login} />
			</section>
			{login !== me.login && (
				<>
					<div className="danger">
						<div>
							<strong>{u.active ? "Disable" : "Enable"}</strong>
							<div>
								{u.active
									? "Everything is refused and every session ends; limits and keys stay."
									: "Password and keys open again."}
							</div>
							{able.isError && <Note tone="bad">{able.error.message}</Note>}
						</div>
						<Button variant="default" loading={able.isPending} onClick={() => able.mutate(!u.active)}>
							{u.active ? "Disable" : "Enable"}
						</Button>
					</div>
					<div className="danger">
						<div>
							<strong>Remove</strong>
							<div>With all keys and sessions. Objects stay.</div>
						</div>
						<Button variant="outline" color="red.8" onClick={() => setDooming(true)}>
							Remove
						</Button>
					</div>
				</>
			)}
			<Confirm
				title={`Remove ${login}?`}
				verb={`Remove ${login}`}
				opened={dooming}
				busy={remove.isPending}
				error={remove.error}
				act={() => remove.mutate()}
				close={() => {
					setDooming(false);
					remove.reset();
				}}
			>
				Its {count(u.keys)} keys and all sessions go with it. There is no way back.
			</Confirm>
		</Stack>
	);
}
