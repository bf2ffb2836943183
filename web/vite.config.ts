import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
	// The page may stand below any path: everything is found from where it is.
	base: "./",
	plugins: [react()],
	html: { cspNonce: "__NONCE__" }, // internal/web puts one in for each page
	build: {
		outDir: "dist",
		assetsInlineLimit: 0, // no data: URLs
		modulePreload: { polyfill: false },
		license: { fileName: "assets/licenses.md" },
		chunkSizeWarningLimit: 900,
	},
	server: { proxy: { "/api": "http://127.0.0.1:9001", "/version": "http://127.0.0.1:9001" } },
	test: { environment: "node", include: ["src/**/*.test.ts"] },
});
