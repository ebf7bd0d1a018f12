#!/bin/sh
# Debian's own adb (29.0.6) beside the bundled one, for the tests of the virtual phone: unpacked into a folder, not
# installed, so no root is needed. Prints the program's path, or says on standard error why there is none (exit 1).
# usage: scripts/debian_adb.sh FOLDER
set -eu
folder=$1
packages="adb android-libbase android-libboringssl android-libcutils android-liblog libusb-1.0-0 libbsd0 libmd0 libudev1"
if [ -x "$folder/adb" ]; then echo "$folder/adb"; exit 0; fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "no Debian here: its adb is not tested" >&2; exit 1; }
mkdir -p "$folder/debs"
# where the machine's package lists are empty, lists of our own: that needs no root either
own() { apt-get -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User= "$@"; }
(cd "$folder/debs" && {
    apt-get download $packages || {
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"; own update && own download $packages; }
}) >"$folder/log" 2>&1 || { echo "Debian's adb cannot be downloaded; see $folder/log" >&2; exit 1; }
for deb in "$folder"/debs/*.deb; do dpkg -x "$deb" "$folder/root"; done
libs=$(dirname "$(find "$folder/root/usr/lib" -name 'libusb-1.0.so.0' | head -n 1)")
cat > "$folder/adb.new" <<END
#!/bin/sh
LD_LIBRARY_PATH="$libs/android:$libs" exec "$folder/root/usr/lib/android-sdk/platform-tools/adb" "\$@"
END
chmod 755 "$folder/adb.new"
"$folder/adb.new" version >"$folder/log" 2>&1 || { echo "Debian's adb does not run here; see $folder/log" >&2; exit 1; }
mv "$folder/adb.new" "$folder/adb"
echo "$folder/adb"
