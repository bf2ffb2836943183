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
import { type FormEvent, useState } from "react";
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
			<TagsInput
				label="Buckets"
				description="A name, or a part of one as in photos/2026/. None: all"
				value={draft.buckets}
				onChange={(v) => set("buckets", v)}
				splitChars={[",", " "]}
				acceptValueOnBlur
			/>
			<TagsInput
				label="Addresses"
				description="Networks as in 10.0.0.0/8, or single addresses. None: from anywhere"
				value={draft.addresses}
				onChange={(v) => set("addresses", v)}
				splitChars={[",", " "]}
				acceptValueOnBlur
			/>
			<TagsInput
				label="File types to write"
				description="Extensions as in txt or tar.gz. None: all"
				value={draft.extensions}
				onChange={(v) => set("extensions", v)}
				splitChars={[",", " "]}
				acceptValueOnBlur
			/>
		</>
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
	const submit = (e: FormEvent) => {
		e.preventDefault();
		make.mutate();
	};
	return (
		<form onSubmit={submit}>
			<Stack>
				<TextInput
					label="Login"
					description="Lower-case letters, digits and . _ @ + -"
					autoComplete="off"
					autoCapitalize="none"
					pattern="[a-z0-9][a-z0-9._@+\-]{0,63}"
					title="Lower-case letters, digits and . _ @ + -"
					required
					withAsterisk={false}
					data-autofocus
					value={login}
					onChange={(e) => setLogin(e.currentTarget.value)}
				/>
				<PasswordInput
					label="Password"
					description="8 characters or more. Without one only S3 keys open"
					autoComplete="new-password"
					minLength={8}
					value={password}
					onChange={(e) => setPassword(e.currentTarget.value)}
				/>
				<Fields draft={draft} change={setDraft} />
				{make.isError && <Note tone="bad">{make.error.message}</Note>}
				<Group justify="flex-end">
					<Button type="submit" loading={make.isPending}>
						Make the user
					</Button>
				</Group>
			</Stack>
		</form>
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
	const submit = (e: FormEvent) => {
		e.preventDefault();
		save.mutate();
	};
	return (
		<form onSubmit={submit}>
			<Stack>
				<Fields draft={draft} change={setDraft} />
				<PasswordInput
					label={user.has_password ? "New password" : "Password"}
					description={
						user.has_password
							? "Left empty it stays as it is. A new one ends every session"
							: "Has none: only S3 keys open"
					}
					autoComplete="new-password"
					minLength={8}
					value={password}
					onChange={(e) => setPassword(e.currentTarget.value)}
				/>
				{save.isError && <Note tone="bad">{save.error.message}</Note>}
				<Group justify="flex-end">
					<Button
						variant="default"
						disabled={!changed || save.isPending}
						onClick={() => {
							setDraft(draftOf(user));
							setPassword("");
						}}
					>
						Undo
					</Button>
					<Button type="submit" disabled={!changed} loading={save.isPending}>
						Save
					</Button>
				</Group>
			</Stack>
		</form>
	);
}
