/* icons.jsx - line drawings of 24 by 24, in the colour of the text beside them. */

const PATHS = {
  admin: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  alert: "M12 9v4M12 17h.01M10.3 4 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4a2 2 0 0 0-3.4 0z",
  attach: "m21 11-8.6 8.6a5.5 5.5 0 0 1-7.8-7.8l8.6-8.6a3.7 3.7 0 0 1 5.2 5.2l-8.6 8.6a1.8 1.8 0 0 1-2.6-2.6L15 6.5",
  back: "m15 18-6-6 6-6",
  check: "m5 12.5 4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  currency: "M7 7h13M16 3l4 4-4 4M17 17H4M8 13l-4 4 4 4",
  down: "M12 5v14M6 13l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  drop: "M12 4c4 5 6 7.800 6 10.500a6 6 0 0 1-12 0C6 11.800 8 9 12 4z",
  edit: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  forward: "m9 6 6 6-6 6",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18",
  key: "M15 9h.01M15.5 3A5.5 5.5 0 1 0 17 13.6M10.6 11.4 3 19v2h4v-2h2v-2h2l2.4-2.4",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  news: "M4 5h13v14H6a2 2 0 0 1-2-2zM17 9h3v8a2 2 0 0 1-4 0M8 9h5M8 13h5",
  pin: "M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v6",
  place: "M12 21c5-5.5 7-8.600 7-11.500a7 7 0 0 0-14 0C5 12.400 7 15.500 12 21zM12 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  plus: "M12 5v14M5 12h14",
  retry: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  send: "M12 19V5M6 11l6-6 6 6",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM9 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  signIn: "M10 4h9v16h-9M4 12h11M11 8l4 4-4 4",
  signOut: "M14 4H5v16h9M9 12h11M16 8l4 4-4 4",
  stop: "M7 7h10v10H7z",
  tool: "M14.500 6.500a4 4 0 0 0-5.300 5L3.500 17.200a2.300 2.300 0 0 0 3.300 3.300l5.700-5.700a4 4 0 0 0 5-5.300l-2.700 2.700-2.500-.500-.500-2.500z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-4 4-6 8-6s7 2 8 6",
  weather: "M7 18h10a4 4 0 0 0 .500-8A6 6 0 0 0 6 11.500 3.300 3.300 0 0 0 7 18z",
};

export function Icon({ name }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"
      stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
