import {
	Button,
	Checkbox,
	Group,
	PasswordInput,
	SegmentedControl,
	Stack,
	TagsInput,
	Text,
	TextInput,
} from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { createUser, updateUser } from "../api/gen/sdk.gen";
import type { Role, Scope, User } from "../api/gen/types.gen";
import { Note } from "../parts/states";

type Draft = {
	role: Role;
	read: boolean;
	write: boolean;
	buckets: string[];
	addresses: string[];
	extensions: string[];
};

const draftOf = (u?: User): Draft => ({
	role: u?.role ?? "user",
	read: u?.scopes.includes("read") ?? true,
	write: u?.scopes.includes("write") ?? true,
	buckets: u?.allowed_buckets ?? [],
	addresses: u?.allowed_ips ?? [],
	extensions: u?.allowed_extensions ?? [],
});

const bodyOf = (d: Draft) => ({
	role: d.role,
	scopes: [...(d.read ? ["read" as Scope] : []), ...(d.write ? ["write" as Scope] : [])],
	allowed_buckets: d.buckets,
	allowed_ips: d.addresses,
	allowed_extensions: d.extensions.map((e) => e.replace(/^\./, "")),
});

const limits = [
	{ name: "buckets", label: "Buckets", description: "A name, or a part of one as in photos/2026/. None: all" },
	{
		name: "addresses",
		label: "Addresses",
		description: "Networks as in 10.0.0.0/8, or single addresses. None: from anywhere",
	},
	{ name: "extensions", label: "File types to write", description: "Extensions as in txt or tar.gz. None: all" },
] as const;

/** What a user may do and where: the same fields for a new and for an old one. */
function Fields({ draft, change }: { draft: Draft; change: (d: Draft) => void }) {
	const set = <K extends keyof Draft>(key: K, value: Draft[K]) => change({ ...draft, [key]: value });
	return (
		<>
			<div>
				<Text size="sm" fw={500} mb={6} id="role">
					Role
				</Text>
				<SegmentedControl
					aria-labelledby="role"
					data={[
						{ value: "user", label: "User" },
						{ value: "admin", label: "Administrator" },
					]}
					value={draft.role}
					onChange={(v) => set("role", v === "admin" ? "admin" : "user")}
				/>
				<Text size="xs" c="dimmed" mt={6}>
					{draft.role === "admin"
						? "May use this console and all of the admin API, whatever the limits below say of S3."
						: "May use S3 within the limits below, and look after the own password and keys."}
				</Text>
			</div>
			<Checkbox.Group
				label="On S3"
				value={[...(draft.read ? ["read"] : []), ...(draft.write ? ["write"] : [])]}
				onChange={(v) => change({ ...draft, read: v.includes("read"), write: v.includes("write") })}
			>
				<Group gap="lg" mt={6}>
					<Checkbox value="read" label="Read" />
					<Checkbox value="write" label="Write" />
				</Group>
			</Checkbox.Group>
			{limits.map(({ name, label, description }) => (
				<TagsInput
					key={name}
					label={label}
					description={description}
					value={draft[name]}
					onChange={(v) => set(name, v)}
					splitChars={[",", " "]}
					acceptValueOnBlur
				/>
			))}
		</>
	);
}

/** A form of what a user may do, with fields of its own above and below, and what becomes of it. */
function Frame({
	act,
	draft,
	change,
	above,
	below,
	children,
}: {
	act: { mutate: () => void; error: Error | null };
	draft: Draft;
	change: (d: Draft) => void;
	above?: ReactNode;
	below?: ReactNode;
	children: ReactNode; // its buttons
}) {
	const submit = (e: FormEvent) => {
		e.preventDefault();
		act.mutate();
	};
	return (
		<form onSubmit={submit}>
			<Stack>
				{above}
				<Fields draft={draft} change={change} />
				{below}
				{act.error && <Note tone="bad">{act.error.message}</Note>}
				<Group justify="flex-end">{children}</Group>
			</Stack>
		</form>
	);
}

function PasswordField({
	label,
	note,
	value,
	set,
}: {
	label: string;
	note: string;
	value: string;
	set: (v: string) => void;
}) {
	return (
		<PasswordInput
			label={label}
			description={note}
			autoComplete="new-password"
			minLength={8}
			value={value}
			onChange={(e) => set(e.currentTarget.value)}
		/>
	);
}

export function NewUserForm({ done }: { done: (login: string) => void }) {
	const [login, setLogin] = useState("");
	const [password, setPassword] = useState("");
	const [draft, setDraft] = useState(() => draftOf());
	const queries = useQueryClient();
	const make = useMutation({
		mutationFn: async () =>
			(await createUser({ body: { login, ...(password ? { password } : {}), ...bodyOf(draft) } })).data,
		onSuccess: async (user) => {
			await queries.invalidateQueries({ queryKey: ["users"] });
			done(user.login);
		},
	});
	const names = "Lower-case letters, digits and . _ @ + -";
	return (
		<Frame
			act={make}
			draft={draft}
			change={setDraft}
			above={
				<>
					<TextInput
						label="Login"
						description={names}
						autoComplete="off"
						autoCapitalize="none"
						pattern="[a-z0-9][a-z0-9._@+\-]{0,63}"
						title={names}
						required
						withAsterisk={false}
						data-autofocus
						value={login}
						onChange={(e) => setLogin(e.currentTarget.value)}
					/>
					<PasswordField
						label="Password"
						note="8 characters or more. Without one only S3 keys open"
						value={password}
						set={setPassword}
					/>
				</>
			}
		>
			<Button type="submit" loading={make.isPending}>
				Make the user
			</Button>
		</Frame>
	);
}

export function UserForm({ user }: { user: User }) {
	const [draft, setDraft] = useState(() => draftOf(user));
	const [password, setPassword] = useState("");
	const queries = useQueryClient();
	const save = useMutation({
		mutationFn: () =>
			updateUser({ path: { login: user.login }, body: { ...bodyOf(draft), ...(password ? { password } : {}) } }),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["users"] }),
	});
	const changed = password !== "" || JSON.stringify(draft) !== JSON.stringify(draftOf(user));
	const undo = () => {
		setDraft(draftOf(user));
		setPassword("");
	};
	return (
		<Frame
			act={save}
			draft={draft}
			change={setDraft}
			below={
				<PasswordField
					label={user.has_password ? "New password" : "Password"}
					note={
						user.has_password
							? "Left empty it stays as it is. A new one ends every session"
							: "Has none: only S3 keys open"
					}
					value={password}
					set={setPassword}
				/>
			}
		>
			<Button variant="default" disabled={!changed || save.isPending} onClick={undo}>
				Undo
			</Button>
			<Button type="submit" disabled={!changed} loading={save.isPending}>
				Save
			</Button>
		</Frame>
	);
}
