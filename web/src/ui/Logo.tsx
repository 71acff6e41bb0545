/** Two loops as one line. */
export function Logo({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#444fc4" />
      <path
        d="M5 16c0-3.6 2.4-6.2 5.5-6.2 4.9 0 6.1 12.4 11 12.4 3.1 0 5.5-2.6 5.5-6.2s-2.4-6.2-5.5-6.2c-4.9 0-6.1 12.4-11 12.4C7.4 22.2 5 19.6 5 16z"
        fill="none"
        stroke="#fff"
        strokeWidth="2.8"
      />
    </svg>
  );
}
