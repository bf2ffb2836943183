import { Anchor, Button, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { session } from "../api/client";
import { getUser, updateUser } from "../api/gen/sdk.gen";
import { Facts } from "../parts/facts";
import { Keys } from "../parts/keys";
import { Page, Panel } from "../parts/page";
import { Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { limitsOf, mayDo } from "../words/user";

function Password({ login }: { login: string }) {
	const [current, setCurrent] = useState("");
	const [next, setNext] = useState("");
	const change = useMutation({
		mutationFn: async () => {
			await updateUser({ path: { login }, body: { password: next, current_password: current } });
			await session.begin(login, next); // every session ended, this one goes on
		},
		onSuccess: () => {
			setCurrent("");
			setNext("");
		},
	});
	const submit = (e: FormEvent) => {
		e.preventDefault();
		change.mutate();
	};
	return (
		<form onSubmit={submit}>
			<input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
			<Stack gap="sm" maw={360}>
				<PasswordInput
					label="Present password"
					autoComplete="current-password"
					required
					withAsterisk={false}
					value={current}
					onChange={(e) => setCurrent(e.currentTarget.value)}
				/>
				<PasswordInput
					label="New password"
					description="8 characters or more"
					autoComplete="new-password"
					minLength={8}
					required
					withAsterisk={false}
					value={next}
					onChange={(e) => setNext(e.currentTarget.value)}
				/>
				{change.isError && <Note tone="bad">{change.error.message}</Note>}
				{change.isSuccess && <Note tone="good">The password is changed. All other sessions have ended.</Note>}
				<div>
					<Button type="submit" variant="default" loading={change.isPending} disabled={!current || !next}>
						Change password
					</Button>
				</div>
			</Stack>
		</form>
	);
}

export function Account() {
	const { login } = useMe();
	const user = useQuery({
		queryKey: ["users", login],
		queryFn: async () => (await getUser({ path: { login } })).data,
	});
	return (
		<Page title="Account">
			<div className="columns" data-top>
				<Panel title="You">
					{user.isPending ? (
						<Waiting rows={3} height={28} />
					) : user.isError ? (
						<Oops error={user.error} />
					) : (
						<Facts
							facts={[
								["Login", login],
								["Role", user.data.role === "admin" ? "Administrator" : "User"],
								["On S3 you may", mayDo(user.data)],
								...limitsOf(user.data),
							]}
						/>
					)}
				</Panel>
				<Panel title="Password">
					{login === "root" ? (
						<Text size="sm" c="dimmed">
							The password of <code>root</code> is set where the server is started, by{" "}
							<code>S3MIRROR_ROOT_PASSWORD</code>.
						</Text>
					) : (
						<Password login={login} />
					)}
				</Panel>
			</div>
			<Panel title="S3 keys" note={login !== "root" && "One for each client, so that each can be taken away alone."}>
				{login === "root" ? (
					<Text size="sm" c="dimmed">
						The key of <code>root</code> is set where the server is started. Make a user for each application instead.
					</Text>
				) : (
					<Keys login={login} />
				)}
			</Panel>
			<Text size="xs" c="dimmed">
				<Anchor href={licences} target="_blank" size="xs">
					Licences of the parts of this console
				</Anchor>
			</Text>
		</Page>
	);
}

const licences = "./assets/licenses.md";
