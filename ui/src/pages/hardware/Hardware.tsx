import { useGuestOfPage } from '../guest/GuestPage';
import { Editor } from './Editor';

export default function Hardware() {
  const guest = useGuestOfPage();
  return guest ? <Editor guest={guest} page="hardware" /> : null;
}
