import { useLocation } from '@tanstack/react-router';
import { useGuestOfPage } from '../guest/GuestPage';
import { Editor } from './Editor';
import type { PageName } from './layout';

/** A page of a guest's keys; the last part of the address says which. */
export default function KeyPage() {
  const guest = useGuestOfPage();
  const page = useLocation({ select: ({ pathname }) => pathname.split('/')[3] }) as PageName;
  return guest ? <Editor key={page} guest={guest} page={page} /> : null;
}
