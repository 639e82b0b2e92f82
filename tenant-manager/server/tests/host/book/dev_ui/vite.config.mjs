// A development server for the page of `my_chat_app`, in front of a node that
// is reached through a tunnel: what is not the page's own source is the node's.

const BASE = "/my_chat_app:my_chat_app:template.os";
const NODE = (process.env.VITE_NODE_URL || "http://localhost:8080").replace(
  "localhost",
  "127.0.0.1",
);
const node = { target: NODE, changeOrigin: true };

export default {
  base: `${BASE}/`,
  cacheDir: ".vite",
  clearScreen: false,
  build: { rollupOptions: { external: ["/our.js"] } },
  server: {
    host: "127.0.0.1",
    port: Number(process.env.PORT),
    strictPort: true,
    proxy: {
      "/our": node,
      [`${BASE}/our.js`]: { ...node, rewrite: (path) => path.replace(BASE, "") },
      // The app's WebSocket, at the very path where the page itself is Vite's.
      [`^${BASE}/?$`]: { ...node, ws: true, bypass: (request, answer) => answer && request.url },
      [`^${BASE}/(?!(@vite/client|src/.*|node_modules/.*|@fs/.*|$))`]: node,
    },
  },
};
