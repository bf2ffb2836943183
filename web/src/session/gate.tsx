import { Button, Center, Loader } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from "react";
import { onEnd, session } from "../api/client";
import { validate } from "../api/gen/sdk.gen";
import type { Whoami } from "../api/gen/types.gen";
import { Login } from "../pages/login";
import { Oops } from "../parts/states";

const Me = createContext<Whoami | undefined>(undefined);

/** Who is logged in. Below Gate there always is somebody. */
export function useMe(): Whoami {
	const me = useContext(Me);
	if (!me) {
		throw new Error("useMe outside of Gate");
	}
	return me;
}

type State =
	| { at: "asking" }
	| { at: "out"; ended: boolean }
	| { at: "in"; me: Whoami }
	| { at: "broken"; error: unknown };

/** Shows its children to whoever is logged in, and the login page to everyone else. */
export function Gate({ children }: { children: ReactNode }) {
	const [state, setState] = useState<State>({ at: "asking" });
	const queries = useQueryClient();

	const enter = useCallback(async () => {
		const { data } = await validate();
		setState({ at: "in", me: data });
	}, []);

	const ask = useCallback(async () => {
		setState({ at: "asking" });
		try {
			if (await session.renew()) {
				await enter();
			} else {
				setState({ at: "out", ended: false });
			}
		} catch (error) {
			setState({ at: "broken", error });
		}
	}, [enter]);

	useEffect(() => {
		void ask();
		const off = onEnd(() => {
			queries.clear();
			setState((s) => ({ at: "out", ended: s.at === "in" }));
		});
		return () => {
			off();
		};
	}, [ask, queries]);

	switch (state.at) {
		case "asking":
			return (
				<Center h="100dvh">
					<Loader aria-label="Opening the session" />
				</Center>
			);
		case "broken":
			return (
				<Center component="main" h="100dvh" p="lg">
					<Oops error={state.error} action={<Button onClick={ask}>Try again</Button>} />
				</Center>
			);
		case "out":
			return <Login ended={state.ended} enter={enter} />;
		case "in":
			return <Me.Provider value={state.me}>{children}</Me.Provider>;
	}
}
