import { Button, PasswordInput, Text, TextInput, Title } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { session } from "../api/client";
import { Mark } from "../parts/icons";
import { Note } from "../parts/states";

export function Login({ ended, enter }: { ended: boolean; enter: () => Promise<void> }) {
	const [login, setLogin] = useState("");
	const [password, setPassword] = useState("");
	const begin = useMutation({
		mutationFn: async () => {
			await session.begin(login, password);
			await enter();
		},
	});
	const submit = (e: FormEvent) => {
		e.preventDefault();
		begin.mutate();
	};
	return (
		<main className="login">
			<title>Sign in · s3mirror</title>
			<form className="login-card" onSubmit={submit}>
				<div className="login-brand">
					<Mark size={40} />
					<Title order={1}>s3mirror</Title>
					<Text c="dimmed" size="sm">
						One S3 namespace, kept equal on every backend.
					</Text>
				</div>
				{begin.isError ? (
					<Note tone="bad">{begin.error.message}</Note>
				) : (
					ended && <Note tone="busy">The session has ended. Sign in to go on where you were.</Note>
				)}
				<TextInput
					label="Login"
					name="username"
					autoComplete="username"
					autoCapitalize="none"
					spellCheck={false}
					data-autofocus
					autoFocus
					required
					withAsterisk={false}
					value={login}
					onChange={(e) => setLogin(e.currentTarget.value)}
				/>
				<PasswordInput
					label="Password"
					name="password"
					autoComplete="current-password"
					required
					withAsterisk={false}
					value={password}
					onChange={(e) => setPassword(e.currentTarget.value)}
				/>
				<Button type="submit" loading={begin.isPending} fullWidth mt="xs">
					Sign in
				</Button>
			</form>
		</main>
	);
}
